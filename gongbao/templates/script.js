"use strict";
// A page that was made for one reader says its language itself.
const wanted = document.documentElement.dataset.language ||
  ((navigator.language || "en").startsWith("zh") ? "zh-Hans" : "en");
for (const radio of document.querySelectorAll("input[name=language]")) {
  const use = () => { document.documentElement.lang = radio.value; };
  if (radio.value === wanted) { radio.checked = true; use(); }
  radio.addEventListener("change", use);
}
function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const number = row => Number(row.cells[column].dataset.sort);
      const text = row => row.cells[column].textContent;
      const numeric = head.classList.contains("number");
      // Numbers begin with the largest, names with the first.
      const next = { ascending: "descending", descending: "ascending" }[head.getAttribute("aria-sort")] ||
        (numeric ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].sort((a, b) =>
        numeric ? number(a) - number(b) : text(a).localeCompare(text(b), "zh", { numeric: true }));
      table.tBodies[0].append(...(next === "ascending" ? rows : rows.reverse()));
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", next);
    });
  });
}
for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
