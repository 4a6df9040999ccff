"use strict";
// The page is complete without this script. It adds sorting, filters, and images that open below the matrix.
(() => {
  document.documentElement.classList.add("scripted");
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // -- tables: click a heading to sort, again to reverse; blank cells stay last -------------------------------
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = (cell.dataset.value ?? cell.textContent).trim();
    const number = parseFloat(text.replace(/,/g, ""));
    return { text, number, blank: text === "" || text === "–" };
  };
  const sort = (table, column, down) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [row, key(row, column)]);
    const numeric = rows.every(([, k]) => k.blank || !Number.isNaN(k.number));
    rows.sort(([, a], [, b]) => {
      if (a.blank || b.blank) return a.blank - b.blank;
      const order = numeric ? a.number - b.number : a.text.localeCompare(b.text, undefined, { numeric: true });
      return down ? -order : order;
    });
    body.append(...rows.map(([row]) => row));
  };
  for (const table of all("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const down = before ? before === "ascending" : head.classList.contains("number");
        for (const each of heads) each.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down);
      });
    });
  }

  // -- filters: show only the rows and errors of one class or one metric -------------------------------------
  for (const filter of all("select[data-filters]")) {
    const name = filter.dataset.filters;
    filter.closest("[hidden]").hidden = false;
    const count = filter.closest(".toolbar").querySelector("[aria-live]");
    const apply = () => {
      const wanted = filter.value;
      const belongs = (values) => wanted === "" || values.split(" ").includes(wanted);
      const filtered = all(`[data-${name}]`);
      for (const each of filtered) each.hidden = !belongs(each.dataset[name]);
      const shown = filtered.filter((each) => each.matches(".counted") && !each.hidden).length;
      if (count) count.textContent = wanted === "" ? "" : `${count.dataset.label} ${shown}`;
      for (const cell of all(".matrix [data-pair]")) cell.classList.toggle("faded", !belongs(cell.dataset.pair));
    };
    filter.addEventListener("change", apply);
    apply();
  }

  // -- the matrix: describe the cell under the pointer, mark its row and column, open its images --------------
  const matrix = document.querySelector(".matrix");
  const words = document.getElementById("matrix-words");
  if (matrix && words) {
    const initial = words.textContent;
    const mark = (cell) => {
      for (const each of all(".at", matrix)) each.classList.remove("at");
      words.textContent = cell ? cell.dataset.words : initial;
      if (!cell) return;
      cell.parentElement.cells[0].classList.add("at");
      matrix.tHead.rows[matrix.tHead.rows.length - 1].cells[cell.cellIndex].classList.add("at");
    };
    matrix.addEventListener("pointerover", (event) => mark(event.target.closest("[data-words]")));
    matrix.addEventListener("focusin", (event) => mark(event.target.closest("[data-words]")));
    matrix.addEventListener("pointerleave", () => mark(null));
  }
  const open = (group) => {
    for (const each of all(".group")) each.classList.toggle("open", each === group);
    for (const link of all("a[href^='#cell-']")) {
      link.classList.toggle("chosen", group !== null && link.hash === `#${group.id}`);
    }
  };
  for (const link of all("a[href^='#cell-']")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const group = document.getElementById(link.hash.slice(1));
      const closing = group.classList.contains("open");
      open(closing ? null : group);
      if (!closing) group.scrollIntoView({ block: "nearest" });
    });
  }
  for (const link of all(".group .close")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      open(null);
    });
  }
  const named = location.hash.startsWith("#cell-") && document.getElementById(location.hash.slice(1));
  if (named) open(named);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") open(null);
  });
})();
