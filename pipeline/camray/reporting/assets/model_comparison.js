/* Sorting of the table by the head that is clicked, and the rows with fixed thresholds on request. */
(function () {
  "use strict";
  const table = document.querySelector("table"), heads = [...table.querySelectorAll("th")];

  function compare(first, second) {
    if (first === "" || second === "") return (first === "") - (second === "");
    const difference = Number(first) - Number(second);
    return Number.isNaN(difference) ? first.localeCompare(second) : difference;
  }

  /** Sort by a column, downwards at the first click; empty cells come first or last. */
  function sort(column) {
    const isDown = heads[column].getAttribute("aria-sort") !== "descending", body = table.tBodies[0];
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", isDown ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const sorted = [...body.rows].sort((a, b) => compare(value(a), value(b)) * (isDown ? -1 : 1));
    body.append(...sorted);
  }

  heads.forEach((head, column) => {
    head.addEventListener("click", () => sort(column));
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(column); }
    });
  });
  document.querySelector("#fixed").addEventListener("change", (event) => table.classList.toggle("hide-fixed", !event.target.checked));
})();
