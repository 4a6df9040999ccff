// The map of all images: colours, highlights, the image under the pointer, the selection, and its tables.
(async () => {
  const element = (id) => document.getElementById(id);
  const holder = element("facts");
  if (!holder) return;
  const facts = JSON.parse(holder.textContent);
  const images = await PackedImages.read(facts);
  document.querySelector(".explorer").hidden = false;
  const map = new PointMap(element("map"), images.x, images.y, (row) => images.image(row));
  const SPLITS = ["#0072b2", "#e69f00", "#009e73"], PLAIN = "#8a8f98", REACH = 14, SHOWN = 30, NUDGE = 60;
  const FOUND = ["#d55e00", "#cc79a7", "#0072b2", "#e69f00", "#009e73", "#56b4e9", "#9467bd", "#8c564b"];
  const made = (tag, kind, text) => {
    const found = document.createElement(tag);
    if (kind) found.className = kind;
    if (text !== undefined) found.textContent = text;
    return found;
  };
  const number = (value, one, many = `${one}s`) => `${value.toLocaleString("en")} ${value === 1 ? one : many}`;

  // -- colours and the legend: its buttons highlight groups -----------------------------------------------------
  const colourings = {
    class: { title: "Class", names: facts.classes, colours: facts.colours, group: (row) => images.labels[row] },
    split: { title: "Split", names: facts.splits, colours: SPLITS, group: (row) => images.splits[row] },
    finding: { title: "Finding", names: ["none", ...facts.kinds],
               colours: [PLAIN, ...facts.kinds.map((_, i) => FOUND[i % FOUND.length])],
               group: (row) => images.of.has(row) ? images.kinds(row)[0] + 1 : 0 },
  };
  const highlighted = new Set();
  let colouring = colourings.class;
  const highlight = () => {
    for (const button of element("legend").children) {
      button.setAttribute("aria-pressed", highlighted.has(Number(button.dataset.group)));
    }
    for (let row = 0; row < images.count; row++) {
      map.faded[row] = highlighted.size > 0 && !highlighted.has(map.shadeOf[row]);
    }
    map.draw();
  };
  const colour = (name) => {
    colouring = colourings[name];
    element("colour").value = name;
    highlighted.clear();
    map.shades = Uint32Array.from(colouring.colours, packed);
    const counts = new Array(colouring.names.length).fill(0);
    for (let row = 0; row < images.count; row++) counts[map.shadeOf[row] = colouring.group(row)]++;
    element("legend-title").textContent = colouring.title;
    element("legend").replaceChildren(...colouring.names.map((name, group) => {
      const button = made("button"), dot = made("i");
      button.type = "button";
      button.dataset.group = group;
      dot.style.background = colouring.colours[group];
      button.append(dot, made("span", "word", name), made("span", "count", counts[group].toLocaleString("en")));
      button.addEventListener("click", () => {
        if (!highlighted.delete(group)) highlighted.add(group);
        highlight();
      });
      return button;
    }));
    highlight();
  };
  element("colour").addEventListener("change", () => colour(element("colour").value));

  // -- the image under the pointer, or nearest to the middle ----------------------------------------------------
  const show = (row) => {
    if (row === map.hovered) return;
    map.hovered = row;
    map.draw();
    if (row < 0) return;
    const lines = [made("p", "name", images.name(row)), made("p", "quiet", `${images.className(row)}, ${images.splitName(row)}`)];
    for (const [kind, words] of images.of.get(row) ?? []) lines.push(made("p", "", `⚠ ${facts.kinds[kind]}: ${words}`));
    element("card").replaceChildren(images.canvas(row), ...lines);
  };

  // -- the selection: a list and two tables ----------------------------------------------------------------------
  let chosen = [], listed = 0;
  const list = () => {
    const part = chosen.slice(listed, listed + SHOWN).map((row) => {
      const item = made("li");
      const about = [images.className(row), images.splitName(row), ...images.kinds(row).map((kind) => `⚠ ${facts.kinds[kind]}`)];
      item.append(images.canvas(row), made("span", "", images.name(row)), made("span", "quiet", about.join(", ")));
      return item;
    });
    listed += part.length;
    element("chosen").append(...part);
    element("more").hidden = listed >= chosen.length;
  };
  const select = (rows) => {
    chosen = [...new Set(rows)].sort((a, b) => a - b);
    map.selected.fill(0);
    const counts = new Map();
    for (const row of chosen) {
      map.selected[row] = 1;
      counts.set(images.className(row), (counts.get(images.className(row)) ?? 0) + 1);
    }
    const parts = [...counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => `${name} ${count.toLocaleString("en")}`);
    element("chosen-words").textContent = chosen.length === 0 ? "None." :
      `${number(chosen.length, "image")}: ${parts.slice(0, 12).join(", ")}${parts.length > 12 ? ", …" : ""}.`;
    for (const id of ["save", "save-decisions", "clear"]) element(id).disabled = chosen.length === 0;
    element("chosen").replaceChildren();
    listed = 0;
    list();
    map.draw();
  };
  const toggle = (row) => {
    if (row >= 0) select(map.selected[row] ? chosen.filter((each) => each !== row) : [...chosen, row]);
  };
  element("more").addEventListener("click", list);
  element("clear").addEventListener("click", () => select([]));
  element("in-view").addEventListener("click", () => select(map.inView()));
  element("save").addEventListener("click", () => saveTable("selection.csv", [["image", "class", "split", "findings"],
    ...chosen.map((row) => [images.name(row), images.className(row), images.splitName(row),
                            images.kinds(row).map((kind) => facts.kinds[kind]).join("; ")])]));
  element("save-decisions").addEventListener("click", () => {
    const [decision, ...label] = element("decision").value.split(":");
    saveTable("decisions.csv", [["image", "decision", "label"],
      ...chosen.map((row) => [images.name(row), decision, label.join(":")])]);
  });
  for (const button of document.querySelectorAll(".show-kind")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const kind = Number(button.dataset.kind);
      colour("finding");
      select(images.findings.filter(([each]) => each === kind).flatMap(([, rows]) => rows));
      element("map-heading").scrollIntoView({ block: "start" });
      map.canvas.focus({ preventScroll: true });
    });
  }

  // -- pointer, wheel and keys -----------------------------------------------------------------------------------
  let drawing = false;
  const use = (lasso) => {
    drawing = lasso;
    element("lasso").setAttribute("aria-pressed", lasso);
    element("move").setAttribute("aria-pressed", !lasso);
    map.canvas.classList.toggle("lasso", lasso);
  };
  element("lasso").addEventListener("click", () => use(true));
  element("move").addEventListener("click", () => use(false));
  element("closer").addEventListener("click", () => map.zoom(1.6));
  element("farther").addEventListener("click", () => map.zoom(1 / 1.6));
  element("whole").addEventListener("click", () => map.whole());
  const pointers = new Map();
  const at = (event) => {
    const box = map.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  let travelled = 0;
  map.canvas.addEventListener("pointerdown", (event) => {
    map.canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    map.cross = false;
    travelled = 0;
    map.line = pointers.size === 1 && (drawing || event.shiftKey) ? [at(event)] : null;
  });
  map.canvas.addEventListener("pointermove", (event) => {
    const now = at(event), before = pointers.get(event.pointerId);
    if (!before) {
      show(map.nearest(...now, REACH));
      return;
    }
    const step = [now[0] - before[0], now[1] - before[1]];
    travelled += Math.hypot(...step);
    if (map.line) {
      map.line.push(now);
      map.draw();
    } else if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const span = (place) => Math.max(1, Math.hypot(place[0] - other[0], place[1] - other[1]));
      map.zoom(span(now) / span(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      map.move(step[0] / 2, step[1] / 2);
    } else {
      map.move(...step);
    }
    pointers.set(event.pointerId, now);
  });
  const release = (event) => {
    if (!pointers.delete(event.pointerId) || event.type === "pointercancel") {
      map.line = null;
      return;
    }
    if (travelled < 5) {
      show(map.nearest(...at(event), REACH));
      toggle(map.nearest(...at(event), REACH));
    } else if (map.line) {
      select(map.inside(map.line));
    }
    map.line = null;
    map.draw();
  };
  map.canvas.addEventListener("pointerup", release);
  map.canvas.addEventListener("pointercancel", release);
  map.canvas.addEventListener("pointerleave", () => {
    if (!map.cross) show(-1);
  });
  map.canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    map.zoom(2 ** (-Math.max(-240, Math.min(240, event.deltaY * (event.deltaMode ? 30 : 1))) / 300), ...at(event));
  }, { passive: false });
  const keys = {
    ArrowLeft: () => map.move(NUDGE, 0), ArrowRight: () => map.move(-NUDGE, 0), ArrowUp: () => map.move(0, NUDGE),
    ArrowDown: () => map.move(0, -NUDGE), "+": () => map.zoom(1.6), "=": () => map.zoom(1.6),
    "-": () => map.zoom(1 / 1.6), 0: () => map.whole(), Enter: () => toggle(map.hovered),
  };
  map.canvas.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    map.cross = true;
    keys[event.key]();
    if (event.key !== "Enter") show(map.nearest(map.width / 2, map.height / 2, Infinity));
  });

  images.arrived = () => {
    for (const canvas of document.querySelectorAll("canvas.waiting")) images.fill(canvas);
    map.draw();
  };
  colour("class");
  new ResizeObserver(() => map.resize()).observe(map.canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => map.draw());
  document.documentElement.dataset.ready = "map";
})();
