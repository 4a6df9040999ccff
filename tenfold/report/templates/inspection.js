// Decisions about images: the same image has the same decision in every finding; they are saved as a CSV file.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const decisions = new Map();  // image → "keep", "drop" or a class, as {decision, label}
  const figures = new Map();  // image → its figures
  const save = document.getElementById("export");
  if (!save) return;
  const status = document.getElementById("decided");
  const classes = new Set(all("#classes option").map((option) => option.value));

  const show = (image) => {
    const made = decisions.get(image);
    for (const figure of figures.get(image) ?? []) {
      const [select, input] = all("select, input", figure);
      select.value = made ? made.decision : "";
      input.hidden = select.value !== "relabel";
      if (made && document.activeElement !== input) input.value = made.label;
      figure.classList.toggle("drop", select.value === "drop");
      figure.classList.toggle("relabel", select.value === "relabel");
    }
  };
  let saved = true;
  const tell = () => {
    saved = false;
    const open = [...decisions.values()].filter((made) => made.decision === "relabel" && !classes.has(made.label)).length;
    const count = decisions.size;
    save.disabled = count === 0 || open > 0;
    status.textContent = count === 0 ? "No decision yet." : open > 0 ?
      `${open} ${open === 1 ? "image needs" : "images need"} the name of a class.` :
      `${count} ${count === 1 ? "image" : "images"} decided.`;
  };
  const decide = (image, decision, label = "") => {
    if (decision === "") decisions.delete(image);
    else decisions.set(image, { decision, label: decision === "relabel" ? label : "" });
    show(image);
  };
  const propose = (image, proposed) => {
    if (decisions.has(image)) return;  // what a person decided stays
    if (proposed === "drop") decide(image, "drop");
    else if (proposed !== "") decide(image, "relabel", proposed.slice("relabel:".length));
  };

  for (const figure of all("figure[data-image]")) {
    const image = figure.dataset.image;
    const select = document.createElement("select");
    select.setAttribute("aria-label", `Decision for ${image}`);
    for (const [value, words] of [["", "undecided"], ["keep", "keep"], ["drop", "drop"], ["relabel", "relabel"]]) {
      select.append(new Option(words, value));
    }
    const input = document.createElement("input");
    input.setAttribute("list", "classes");
    input.setAttribute("aria-label", `New label of ${image}`);
    input.placeholder = "class";
    input.hidden = true;
    const likely = figure.dataset.proposed.startsWith("relabel:") ? figure.dataset.proposed.slice("relabel:".length) : "";
    select.addEventListener("change", () => {
      decide(image, select.value, likely);
      tell();
    });
    input.addEventListener("input", () => {
      decide(image, "relabel", input.value);
      tell();
    });
    figure.querySelector(".decide").append(select, input);
    figures.set(image, [...(figures.get(image) ?? []), figure]);
  }
  for (const line of all(".scripted-only")) line.hidden = false;
  for (const button of all("button.propose")) {
    button.addEventListener("click", () => {
      for (const figure of all("figure[data-image]", button.closest("section"))) {
        propose(figure.dataset.image, figure.dataset.proposed);
      }
      for (const [image, proposed] of Object.entries(JSON.parse(button.dataset.rest))) propose(image, proposed);
      tell();
    });
  }
  save.addEventListener("click", () => {
    const rows = [...decisions].map(([image, made]) => [image, made.decision, made.label]);
    saveTable("decisions.csv", [["image", "decision", "label"], ...rows]);
    saved = true;
  });
  const earlier = JSON.parse(save.dataset.decided);
  for (const [image, decision, label] of earlier) decide(image, decision, label);
  if (earlier.length > 0) tell();
  saved = true;
  addEventListener("beforeunload", (event) => {
    if (!saved) event.preventDefault();  // the browser asks before it leaves
  });
})();
