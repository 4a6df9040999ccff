// Ways in: files and folders, drop, paste, the camera and drawing.

function fromFiles(files) {
  given([...files].map(named));
}

function named(file) {
  return {name: file.webkitRelativePath || file.name, blob: file};
}

// Answers to the images among files {name, blob}, except hidden files.
function given(files) {
  const seen = files.filter(({name}) => !name.split("/").pop().startsWith("."));
  const images = seen.filter(({blob}) => !blob?.type || blob.type.startsWith("image/"));
  later(images, seen.length - images.length);
}

function chosen(event) {
  fromFiles(event.target.files);
  event.target.value = ""; // so that the same files can be chosen again
}

async function dropped(event) {
  event.preventDefault();
  element("drop").classList.remove("over");
  const found = [...event.dataTransfer.items].map(async item => {
    const entry = item.webkitGetAsEntry(), file = item.getAsFile(); // the items are gone after the event
    if (!entry?.isDirectory) return file ? [named(file)] : [];
    // In a page from a disk, Chromium reads no entries, only handles; other browsers have no handles.
    return filesIn(await item.getAsFileSystemHandle?.().catch(() => null) ?? entry);
  });
  given((await Promise.all(found)).flat());
}

// All files in a folder, by their paths. Without a blob: what can't be read.
async function filesIn(folder, path = folder.name) {
  const found = [];
  try {
    for (const each of await insideOf(folder)) {
      const name = `${path}/${each.name}`;
      if (each.isDirectory || each.kind === "directory") found.push(...await filesIn(each, name));
      else found.push({name, blob: await blobOf(each).catch(() => null)});
    }
  } catch {
    found.push({name: path});
  }
  return found;
}

async function insideOf(folder) {
  const found = [];
  if (folder.values) {
    for await (const each of folder.values()) found.push(each);
  } else {
    const reader = folder.createReader(), more = () => new Promise((done, failed) => reader.readEntries(done, failed));
    for (let part = await more(); part.length; part = await more()) found.push(...part);
  }
  return found.sort((one, other) => one.name < other.name ? -1 : 1);
}

function blobOf(file) {
  return file.getFile ? file.getFile() : new Promise((done, failed) => file.file(done, failed));
}

async function camera() {
  const button = element("camera"), video = element("video");
  button.disabled = true;
  try {
    if (!navigator.mediaDevices) throw new Error("this browser does not let this page use one");
    const stream = video.srcObject = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment"}});
    await video.play();
    element("live").hidden = false;
    element("stop").focus();
    while (stream.active) await watch(video);
  } catch (error) {
    say(`The camera can't be used: ${error.message}`);
  }
  stopCamera();
  video.srcObject = null;
  element("live-answer").replaceChildren();
  button.disabled = false;
  if ([document.body, element("stop")].includes(document.activeElement)) button.focus();
}

async function watch(video) {
  const began = performance.now();
  const [found] = await run(bytesOf(drawn(video, video.videoWidth, video.videoHeight)), 1);
  const milliseconds = Math.round(performance.now() - began);
  element("live-answer").replaceChildren(...shown(found), made("p", "name", `${milliseconds} ms an image`));
  await new Promise(resolve => requestAnimationFrame(resolve));
}

// Ends the loop in `camera`.
function stopCamera() {
  element("video").srcObject?.getTracks().forEach(track => track.stop());
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
  canvas.onpointerup = canvas.onpointerleave = () => {
    if (!down) return;
    down = false;
    run(bytesOf(drawn(canvas, canvas.width, canvas.height)), 1)
      .then(([found]) => element("sketch-answer").replaceChildren(...shown(found))).catch(failed);
  };
  element("clear").onclick = clear;
  element("pencil").onclick = () => { element("board").hidden = !element("board").hidden; clear(); };
}

element("files").onchange = element("folder").onchange = chosen;
document.addEventListener("dragover", event => { event.preventDefault(); element("drop").classList.add("over"); });
document.addEventListener("dragleave", event => event.relatedTarget || element("drop").classList.remove("over"));
document.addEventListener("drop", dropped); // anywhere: beside the box, the browser would open the file instead
document.addEventListener("paste", event => fromFiles(event.clipboardData.files));
element("camera").onclick = camera;
element("stop").onclick = stopCamera;
sketching();
