"use strict";
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const numeric = head.classList.contains("number");
      const value = (row) => {
        const cell = row.cells[column];
        const text = "value" in cell.dataset ? cell.dataset.value : cell.textContent.trim();
        return numeric ? (text === "" ? NaN : Number(text)) : text;
      };
      const sign = falling ? -1 : 1;
      const compare = (left, right) => {
        const a = value(left), b = value(right);
        if (numeric) {
          // What is not known comes last whichever way one sorts.
          if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
          return sign * (a - b);
        }
        return sign * a.localeCompare(b);
      };
      body.append(...Array.from(body.rows).sort(compare));
    });
  });
  const input = document.getElementById(table.dataset.filter);
  const count = document.getElementById(table.dataset.count);
  if (!input) continue;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    if (count) count.textContent = `${shown} of ${body.rows.length} shown`;
  });
}
