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

// A cell of the confusion matrix says what it counts, under the pointer or when it has the focus.
const matrix = document.querySelector(".matrix");
if (matrix) {
  const readout = document.querySelector(".readout");
  const heads = [...matrix.tHead.rows[0].cells].slice(1);
  // Isolated, so that names which read from right to left do not turn the words around them.
  const names = heads.map((head) => `\u2068${head.firstChild.title}\u2069`);
  const describe = (cell) => {
    const row = cell.parentNode;
    const total = Number(row.dataset.images);
    const count = Number(cell.textContent.replace(/,/g, ""));
    const share = total ? ` (${((100 * count) / total).toFixed(1)}%)` : "";
    const [is, found] = [names[row.sectionRowIndex], names[cell.cellIndex - 1]];
    const text = is === found ? `${is}, correct` : `${is}, taken for ${found}`;
    return `${text}: ${count} of ${total}${share}`;
  };
  const show = (event) => {
    const cell = event.target.closest("tbody td");
    if (cell) readout.textContent = describe(cell);
  };
  for (const kind of ["pointerover", "click", "focusin"]) matrix.addEventListener(kind, show);

  // One of its cells is in the order of the Tab key; from there the arrow keys lead to the others.
  const buttons = [...matrix.querySelectorAll("button")];
  for (const button of buttons) button.ariaLabel = describe(button.parentNode);
  if (buttons.length) buttons[0].tabIndex = 0;
  matrix.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const cell = event.target.closest("td");
    if (!step || !cell) return;
    event.preventDefault();
    const rows = matrix.tBodies[0].rows;
    let [row, column] = [cell.parentNode.sectionRowIndex, cell.cellIndex];
    let next = null;
    do {
      row += step[0];
      column += step[1];
      next = rows[row]?.cells[column]?.querySelector("button");
    } while (!next && rows[row]?.cells[column]);
    if (!next) return;
    for (const button of buttons) button.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

// What counts images opens them.
const dialog = document.querySelector("dialog");
for (const button of document.querySelectorAll("[data-cell]")) {
  button.addEventListener("click", () => {
    const images = document.getElementById(button.dataset.cell);
    dialog.lastElementChild.replaceChildren(images.content.cloneNode(true));
    dialog.showModal();
    dialog.scrollTop = 0;
  });
}
if (dialog) dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
