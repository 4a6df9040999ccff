// The page: unpacks the model, reads images as Tenfold does, answers, and shows the answers.

const MOST_SHOWN = 5, MOST_NAMED = 10, BATCH = 16, MOST_PIXELS = 89478485, HEATED = 7;
const KEPT = 60_000; // milliseconds that a browser has to start saving a file
const ADVICE = {accepted: "Accepted.", unsure: "Unsure: let a person look.",
                unknown: "Unknown: probably none of the classes."};
const element = id => document.getElementById(id);
const facts = JSON.parse(element("facts").textContent);
const [height, width, channels] = facts.shape;
const answers = [], session = start();
let ort, busy = session.catch(failed);

// The model as a session of ONNX Runtime.
async function start() {
  const [script, wasm, model] = await Promise.all([
    unpacked("runtime", xz), unpacked("wasm", xz), unpacked("model", gzip).then(ungrouped)]);
  ort = await import(URL.createObjectURL(new Blob([script], {type: "text/javascript"})));
  ort.env.wasm.wasmBinary = wasm.buffer;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const opened = await ort.InferenceSession.create(model);
  await opened.run(inputOf(opened, new Uint8Array(height * width * channels), 1));
  document.body.dataset.ready = Math.round(performance.now()); // milliseconds since the page was opened
  say("The model is ready.");
  return opened;
}

function say(text) {
  element("status").textContent = text;
}

function inputOf(opened, bytes, count) {
  return {[opened.inputNames[0]]: new ort.Tensor("uint8", bytes, [count, height, width, channels])};
}

// Answers to `count` images, bytes [count, height, width, channels]: {probabilities, set, decision} of each.
async function run(bytes, count) {
  const opened = await session;
  const found = await opened.run(inputOf(opened, bytes, count), ["logits", "features"]);
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

// Answers to images in their order. An image without a blob is a file that can't be read; `left` counts other files.
async function answer(images, left) {
  for (let at = 0; at < images.length; at += BATCH) {
    const part = images.slice(at, at + BATCH), size = height * width * channels;
    const pixels = [];
    for (const {blob} of part) pixels.push(await decoded(blob).then(bytesOf).catch(() => null));
    const good = pixels.filter(Boolean), bytes = new Uint8Array(size * good.length);
    good.forEach((each, i) => bytes.set(each, i * size));
    const found = good.length ? await run(bytes, good.length) : [];
    part.forEach((each, i) => {
      if (pixels[i]) show({...each, ...found.shift(), unlike: unlike(pixels[i])});
      else show({...each, error: unread(each)});
    });
    say(told());
    await new Promise(resolve => setTimeout(resolve));
  }
  if (left) say(`${told()}; left out ${counted(left, "file")} other than images`);
}

// Why an image has no answer.
function unread({name, blob}) {
  if (!blob) return "can't be read";
  const kind = /\.(tiff?|p[pgn]m)$/i.exec(name);
  return kind ? `can't be read: browsers don't open ${kind[1].toUpperCase()}; save it as PNG` : "can't be read as an image";
}

// How many images have an answer, and how many can't be read.
function told() {
  const bad = answers.filter(each => each.error).length, good = answers.length - bad;
  return `${counted(good, "image")} answered${bad ? `; ${bad.toLocaleString("en")} can't be read` : ""}`;
}

function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function later(images, left) {
  busy = busy.then(() => answer(images, left)).catch(failed);
}

function failed(error) {
  say(`This browser can't run the model: ${error.message}`);
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
    picture.onload = () => URL.revokeObjectURL(picture.src);
    picture.alt = each.name;
    picture.src = URL.createObjectURL(each.blob);
    item.append(picture);
    text.append(made("div", "name", each.name), ...shown(each));
    if (each.unlike) text.append(made("p", "caution", "Unlike the training images in brightness or contrast."));
    text.append(heatButton(each, picture));
  }
  item.append(text);
  element("answers").append(item);
  element("count").textContent = counted(answers.length, "image");
  element("csv").disabled = element("remove").disabled = false;
}

// Shows what matters on the picture; a second click shows the image again. It keeps the keyboard's focus.
function heatButton(each, picture) {
  const button = made("button", "", "what matters?");
  let heat, working = false;
  button.type = "button";
  button.title = "Show which parts of the image matter for the answer";
  button.setAttribute("aria-pressed", "false");
  button.onclick = async () => {
    if (working) return;
    working = true;
    try {
      const on = button.getAttribute("aria-pressed") === "false";
      if (on) heat ??= await heated(each);
      const best = facts.classes[each.probabilities.indexOf(Math.max(...each.probabilities))];
      picture.src = URL.createObjectURL(on ? heat : each.blob);
      picture.alt = on ? `${each.name}: the parts that matter for ${best} are red` : each.name;
      button.setAttribute("aria-pressed", on);
    } catch (error) {
      say(`What matters in ${each.name} can't be shown: ${error.message}`);
    }
    working = false;
  };
  return button;
}

// Covers each part of the image in turn: the more the probability falls, the more that part matters. A picture, as PNG.
async function heated(each) {
  const image = bytesOf(await decoded(each.blob)), size = image.length, falls = [];
  const most = Math.max(...each.probabilities), best = each.probabilities.indexOf(most);
  const mean = Math.round(image.reduce((sum, value) => sum + value, 0) / size);
  for (let y = 0; y < HEATED; y++) {
    const bytes = new Uint8Array(size * HEATED);
    for (let x = 0; x < HEATED; x++) {
      const left = Math.floor(x * width / HEATED), right = Math.floor((x + 1) * width / HEATED);
      bytes.set(image, x * size);
      for (let row = Math.floor(y * height / HEATED); row < Math.floor((y + 1) * height / HEATED); row++) {
        const from = x * size + row * width * channels;
        bytes.fill(mean, from + left * channels, from + right * channels);
      }
    }
    for (const {probabilities} of await run(bytes, HEATED)) falls.push(Math.max(0, most - probabilities[best]));
  }
  return painted(image, falls);
}

async function painted(image, falls) {
  const canvas = new OffscreenCanvas(192, 192), context = canvas.getContext("2d");
  const pixels = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = image[i * channels + (channels === 3 ? c : 0)];
    pixels.data[4 * i + 3] = 255;
  }
  context.drawImage(await createImageBitmap(pixels), 0, 0, 192, 192);
  const most = Math.max(...falls, 1e-6), heat = new ImageData(HEATED, HEATED);
  falls.forEach((fall, i) => heat.data.set([213, 94, 0, 190 * fall / most], 4 * i));
  context.drawImage(await createImageBitmap(heat), 0, 0, 192, 192); // smoothed
  return canvas.convertToBlob();
}

function csvCell(value) {
  const text = String(value);
  const safe = /^[=+\-@\t\r\n]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function saveCsv() {
  const header = ["path", "label", "probability", "set", "decision", "unlike", "error",
                  ...facts.classes.map(name => `p_${name}`)];
  const rows = answers.map(each => {
    if (each.error) return [each.name, "", "", "", "", "", each.error, ...facts.classes.map(() => "")];
    const {probabilities, set, decision} = each, best = Math.max(...probabilities);
    return [each.name, facts.classes[probabilities.indexOf(best)], best,
            set ? set.map(i => facts.classes[i]).join("; ") : "", decision ?? "", each.unlike ? "True" : "False", "", ...probabilities];
  });
  const text = [header, ...rows].map(row => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
  const link = made("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  link.download = "answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT);
}

element("csv").onclick = saveCsv;
element("remove").onclick = () => {
  answers.length = 0;
  element("answers").replaceChildren();
  element("count").textContent = "No images yet";
  element("csv").disabled = element("remove").disabled = true;
};
