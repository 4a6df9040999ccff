// The page: unpacks the model, reads images as Tenfold does, answers, and shows the answers.

const MOST_SHOWN = 5, MOST_NAMED = 10, BATCH = 16, MOST_PIXELS = 89478485, HEATED = 7;
const ADVICE = {accepted: "Accepted.", unsure: "Unsure: let a person look.",
                unknown: "Unknown: probably none of the classes."};
const element = id => document.getElementById(id);
const facts = JSON.parse(element("facts").textContent);
const [height, width, channels] = facts.shape;
const answers = [];
let session, ort, busy = Promise.resolve();

async function start() {
  const [script, wasm, model] = await Promise.all([
    unpacked("runtime", xz), unpacked("wasm", xz), unpacked("model", gzip).then(ungrouped)]);
  ort = await import(URL.createObjectURL(new Blob([script], {type: "text/javascript"})));
  ort.env.wasm.wasmBinary = wasm.buffer;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(model);
  await run(new Uint8Array(height * width * channels), 1);
  document.body.dataset.ready = Math.round(performance.now()); // milliseconds since the page was opened
  element("status").textContent = "The model is ready.";
}

// Answers to `count` images, bytes [count, height, width, channels]: {probabilities, set, decision} of each.
async function run(bytes, count) {
  const input = new ort.Tensor("uint8", bytes, [count, height, width, channels]);
  const found = await session.run({[session.inputNames[0]]: input}, ["logits", "features"]);
  const size = height * width * channels;
  const row = ({data}, i) => Array.from(data.subarray(i * data.length / count, (i + 1) * data.length / count));
  return Array.from({length: count}, (_, i) => {
    const logits = row(found.logits, i), probabilities = softmax(logits, facts.temperature);
    return {probabilities, set: predictionSet(probabilities, facts.decisions),
            decision: decision(probabilities, logits, row(found.features, i), bytes.subarray(i * size, (i + 1) * size),
                               facts.shape, facts.decisions)};
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// images

async function decoded(blob) {
  const bitmap = await createImageBitmap(blob, {imageOrientation: "from-image", colorSpaceConversion: "none"});
  if (bitmap.width * bitmap.height > MOST_PIXELS) throw new Error("it has too many pixels");
  const pixels = drawn(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  return pixels;
}

function drawn(picture, columns, rows) {
  const canvas = new OffscreenCanvas(columns, rows);
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.fillStyle = "#fff";
  context.fillRect(0, 0, columns, rows);
  context.drawImage(picture, 0, 0);
  return {rgba: context.getImageData(0, 0, columns, rows).data, rows, columns};
}

function bytesOf({rgba, rows, columns}) {
  return modelPixels(rgba, rows, columns, facts.shape, facts.resize);
}

// Whether brightness or contrast lie outside the range of the training images by more than a tenth of it.
function unlike(bytes) {
  if (!facts.pixels) return false;
  const mean = bytes.reduce((sum, value) => sum + value, 0) / bytes.length;
  const deviation = Math.sqrt(bytes.reduce((sum, value) => sum + (value - mean) ** 2, 0) / bytes.length);
  return [[mean, facts.pixels.mean], [deviation, facts.pixels.sd]].some(([value, [low, high]]) => {
    const margin = 0.1 * (high - low) + 1;
    return value < low - margin || value > high + margin;
  });
}

async function answer(named) {
  for (let at = 0; at < named.length; at += BATCH) {
    const part = named.slice(at, at + BATCH), good = [];
    for (const {name, blob} of part) {
      try {
        good.push({name, blob, bytes: bytesOf(await decoded(blob))});
      } catch (error) {
        show({name, error: "can't be read as an image"});
      }
    }
    if (good.length) {
      const size = height * width * channels, bytes = new Uint8Array(size * good.length);
      good.forEach((each, i) => bytes.set(each.bytes, i * size));
      const found = await run(bytes, good.length);
      good.forEach((each, i) => show({...each, ...found[i], unlike: unlike(each.bytes)}));
    }
    element("status").textContent = `${answers.length.toLocaleString("en")} images answered`;
    await new Promise(resolve => setTimeout(resolve));
  }
}

function later(named) {
  busy = busy.then(() => answer(named)).catch(failed);
  return busy;
}

function failed(error) {
  element("status").textContent = `This browser can't run the model: ${error.message}`;
}

// ---------------------------------------------------------------------------------------------------------------------
// answers

function made(tag, kind, text) {
  const found = document.createElement(tag);
  if (kind) found.className = kind;
  if (text !== undefined) found.textContent = text;
  return found;
}

function ranked(values) {
  return values.map((value, i) => [value, facts.classes[i]]).sort((a, b) => b[0] - a[0]).slice(0, MOST_SHOWN);
}

function bars(probabilities) {
  return ranked(probabilities).map(([value, label]) => {
    const row = made("div", "row"), meter = made("meter");
    const shown = made("span", "label", label);
    shown.title = label;
    meter.min = 0; meter.max = 1; meter.value = value;
    meter.setAttribute("aria-label", label);
    row.append(shown, meter, made("span", "number", `${(100 * value).toFixed(1)} %`));
    return row;
  });
}

// An answer as elements: bars, then the prediction set and the decision in words.
function shown({probabilities, set, decision}) {
  const words = made("p", "words"), strange = decision === "unknown";
  if (set) words.append(`${strange ? "Otherwise" : "Probably"} ${set.length > 1 ? "one of " : ""}${namesIn(set)}. `);
  if (decision) words[strange ? "prepend" : "append"](made("span", decision, ADVICE[decision]), " ");
  return words.hasChildNodes() ? [...bars(probabilities), words] : bars(probabilities);
}

function namesIn(set) {
  const more = set.length - MOST_NAMED;
  return set.slice(0, MOST_NAMED).map(i => facts.classes[i]).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function show(each) {
  answers.push(each);
  const item = made("li"), text = made("div", "answer");
  if (each.error) {
    text.append(made("div", "name", each.name), made("p", "caution", each.error));
  } else {
    const picture = made("img", "thumbnail");
    picture.alt = each.name;
    picture.src = URL.createObjectURL(each.blob);
    item.append(picture);
    text.append(made("div", "name", each.name), ...shown(each));
    if (each.unlike) text.append(made("p", "caution", "Unlike the training images in brightness or contrast."));
    text.append(heatButton(each, picture));
  }
  item.append(text);
  element("answers").append(item);
  element("count").textContent = `${answers.length.toLocaleString("en")} image${answers.length > 1 ? "s" : ""}`;
  element("csv").disabled = element("remove").disabled = false;
}

// Covers each part of the image in turn: the more the probability falls, the more that part matters.
function heatButton(each, picture) {
  const button = made("button", "", "what matters?");
  button.type = "button";
  button.title = "Show which parts of the image matter for the answer";
  button.onclick = async () => {
    button.disabled = true;
    const size = height * width * channels, best = each.probabilities.indexOf(Math.max(...each.probabilities));
    const mean = Math.round(each.bytes.reduce((sum, value) => sum + value, 0) / size), falls = [];
    for (let y = 0; y < HEATED; y++) {
      const bytes = new Uint8Array(size * HEATED);
      for (let x = 0; x < HEATED; x++) {
        bytes.set(each.bytes, x * size);
        for (let row = Math.floor(y * height / HEATED); row < Math.floor((y + 1) * height / HEATED); row++) {
          const from = x * size + (row * width + Math.floor(x * width / HEATED)) * channels;
          bytes.fill(mean, from, from + (Math.floor((x + 1) * width / HEATED) - Math.floor(x * width / HEATED)) * channels);
        }
      }
      const found = await run(bytes, HEATED);
      for (const {probabilities} of found) falls.push(Math.max(0, each.probabilities[best] - probabilities[best]));
    }
    picture.src = await heated(each, falls);
    picture.alt = `${each.name}: the parts that matter for ${facts.classes[best]} are red`;
    button.remove();
  };
  return button;
}

async function heated(each, falls) {
  const canvas = new OffscreenCanvas(192, 192), context = canvas.getContext("2d");
  const pixels = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = each.bytes[i * channels + (channels === 3 ? c : 0)];
    pixels.data[4 * i + 3] = 255;
  }
  const bitmap = await createImageBitmap(pixels);
  context.drawImage(bitmap, 0, 0, 192, 192);
  const most = Math.max(...falls, 1e-6), heat = new ImageData(HEATED, HEATED);
  falls.forEach((fall, i) => heat.data.set([213, 94, 0, 190 * fall / most], 4 * i));
  context.drawImage(await createImageBitmap(heat), 0, 0, 192, 192); // smoothed
  return URL.createObjectURL(await canvas.convertToBlob());
}

function csvCell(value) {
  const text = String(value);
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function saveCsv() {
  const header = ["path", "label", "probability", "set", "decision", "unlike", "error",
                  ...facts.classes.map(name => `p_${name}`)];
  const rows = answers.map(each => {
    if (each.error) return [each.name, "", "", "", "", "", each.error, ...facts.classes.map(() => "")];
    const {probabilities, set, decision} = each, best = Math.max(...probabilities);
    return [each.name, facts.classes[probabilities.indexOf(best)], best,
            set ? set.map(i => facts.classes[i]).join("; ") : "", decision ?? "", each.unlike, "", ...probabilities];
  });
  const text = [header, ...rows].map(row => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
  const link = made("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  link.download = "answers.csv";
  link.click();
}

// ---------------------------------------------------------------------------------------------------------------------
// ways in

function fromFiles(files) {
  const images = [...files].filter(file => file.type.startsWith("image/") || !file.type)
    .filter(file => !file.name.startsWith("."));
  return later(images.map(file => ({name: file.webkitRelativePath || file.name, blob: file})));
}

async function entries(entry) {
  if (entry.isFile) return [await new Promise((found, failed) => entry.file(found, failed))];
  const reader = entry.createReader(), all = [];
  for (;;) {
    const part = await new Promise((found, failed) => reader.readEntries(found, failed));
    if (!part.length) break;
    for (const each of part) all.push(...await entries(each));
  }
  return all;
}

async function dropped(event) {
  event.preventDefault();
  element("drop").classList.remove("over");
  const items = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = items.length ? (await Promise.all(items.map(entries))).flat() : event.dataTransfer.files;
  await fromFiles(files);
}

function pasted(event) {
  const files = [...event.clipboardData.files];
  if (files.length) fromFiles(files);
}

async function camera() {
  try {
    const stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment"}});
    const video = element("video");
    video.srcObject = stream;
    await video.play();
    element("live").hidden = false;
    watch(video);
  } catch (error) {
    element("status").textContent = `The camera can't be used: ${error.message}`;
  }
}

async function watch(video) {
  while (video.srcObject) {
    if (video.videoWidth) {
      const began = performance.now();
      const bytes = bytesOf(drawn(video, video.videoWidth, video.videoHeight));
      const [found] = await run(bytes, 1);
      const milliseconds = Math.round(performance.now() - began);
      element("live-answer").replaceChildren(...shown(found), made("p", "name", `${milliseconds} ms an image`));
    }
    await new Promise(resolve => requestAnimationFrame(resolve));
  }
}

function stopCamera() {
  const video = element("video");
  video.srcObject?.getTracks().forEach(track => track.stop());
  video.srcObject = null;
  element("live").hidden = true;
}

function sketching() {
  const canvas = element("sketch"), context = canvas.getContext("2d", {willReadFrequently: true});
  const ground = canvas.dataset.ground;
  let down = false;
  const clear = () => {
    context.fillStyle = ground;
    context.fillRect(0, 0, canvas.width, canvas.height);
    element("sketch-answer").replaceChildren();
  };
  const place = event => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
  };
  canvas.onpointerdown = event => { down = true; context.beginPath(); context.moveTo(...place(event)); };
  canvas.onpointermove = event => {
    if (!down) return;
    context.strokeStyle = ground === "#000" ? "#fff" : "#000";
    context.lineWidth = 22; context.lineCap = context.lineJoin = "round";
    context.lineTo(...place(event));
    context.stroke();
  };
  canvas.onpointerup = canvas.onpointerleave = async () => {
    if (!down) return;
    down = false;
    const [found] = await run(bytesOf(drawn(canvas, canvas.width, canvas.height)), 1);
    element("sketch-answer").replaceChildren(...shown(found));
  };
  element("clear").onclick = clear;
  element("pencil").onclick = () => { element("board").hidden = !element("board").hidden; clear(); };
}

element("files").onchange = element("folder").onchange = event => fromFiles(event.target.files);
element("drop").ondragover = event => { event.preventDefault(); element("drop").classList.add("over"); };
element("drop").ondragleave = () => element("drop").classList.remove("over");
document.addEventListener("dragover", event => event.preventDefault());
element("drop").ondrop = dropped;
document.addEventListener("paste", pasted);
element("camera").onclick = camera;
element("stop").onclick = stopCamera;
element("csv").onclick = saveCsv;
element("remove").onclick = () => {
  answers.length = 0;
  element("answers").replaceChildren();
  element("count").textContent = "No images yet";
  element("csv").disabled = element("remove").disabled = true;
};
sketching();
busy = start().catch(failed);
