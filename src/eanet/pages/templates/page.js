"use strict";

// A click on the head of a column sorts the table by it, a second one the other way round.
for (const button of document.querySelectorAll(".sortable button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const text = (row) => row.cells[head.cellIndex].textContent.replace(/[,%]/g, "");
    const compare = (a, b) => text(a).localeCompare(text(b), "en", { numeric: true });
    const rows = [...body.rows].sort(compare);
    body.append(...(order === "ascending" ? rows : rows.reverse()));
  });
}

// A cell of the confusion matrix says what it counts, under the pointer or when it is tapped.
const matrix = document.querySelector(".matrix");
if (matrix) {
  const readout = document.querySelector(".readout");
  const names = [...matrix.tHead.rows[0].cells].slice(1).map((head) => head.textContent);
  const show = (event) => {
    const cell = event.target.closest("tbody td");
    if (!cell) return;
    const row = cell.parentNode;
    const total = Number(row.dataset.images);
    const count = Number(cell.textContent.replace(/,/g, ""));
    const share = total ? ` (${((100 * count) / total).toFixed(1)}%)` : "";
    const [is, found] = [names[row.sectionRowIndex], names[cell.cellIndex - 1]];
    const text = is === found ? `${is}, correct` : `${is}, taken for ${found}`;
    readout.textContent = `${text}: ${count} of ${total}${share}`;
  };
  matrix.addEventListener("pointerover", show);
  matrix.addEventListener("click", show);
}
