/* The worklist: filters, sorting, and rows only for the visible part. */
(function (C) {
  "use strict";
  const ROW_PX = 46, SPARE = 4;
  const $ = (id) => document.getElementById(id);
  let shown = [], rowOf = new Map();

  /** Entries: text, test or key, and what it would reveal (`ai`, `annotations`) if it were offered while that is hidden. */
  const STATES = {
    all: ["All films", () => true],
    unread: ["Not yet read", (film) => C.state.status(film.id) !== "read"],
    read: ["Read", (film) => C.state.status(film.id) === "read"],
    reported: ["AI reports it", (film, label) => anyOf(film.reported, label), "ai"],
    silent: ["AI does not report it", (film, label) => !anyOf(film.reported, label), "ai"],
    disagree: ["AI and annotation differ", (film, label) => disagreement(film, label) > 0, "annotations"],
    annotated: ["Annotated", (film, label) => (label === null ? film.annotated.some(Boolean) : film.annotated[label]), "annotations"],
  };
  const SORTS = {
    unread: ["Not yet read first", (film) => ({ unread: 0, open: 1, read: 2 })[C.state.status(film.id)]],
    listed: ["As listed", () => 0],
    probability: ["Probability", (film, label) => -probability(film, label), "ai"],
    unsure: ["Nearest to the cutoff", (film, label) => doubt(film, label), "ai"],
    disagreement: ["Disagreement", (film, label) => -disagreement(film, label), "annotations"],
  };

  function anyOf(values, label) { return label === null ? values.some(Boolean) : values[label]; }
  function probability(film, label) { return label === null ? Math.max(...C.ranks(film)) : C.ranks(film)[label]; }
  function doubt(film, label) {
    const cutoffs = C.run.cutoffs.includes(null) ? C.run.logit_cutoffs : C.run.cutoffs;
    const gaps = C.ranks(film).map((rank, i) => Math.abs(rank - cutoffs[i]));
    return label === null ? Math.min(...gaps) : gaps[label];
  }
  /** 0 to 1; -1 where there is no annotation to differ from. */
  function disagreement(film, label) {
    const known = (label === null ? film.disagreement : [film.disagreement[label]]).filter((v) => v !== null);
    return known.length ? Math.max(...known) : -1;
  }
  function label() { return $("filter-finding").value === "" ? null : Number($("filter-finding").value); }

  function options(select, entries, selected) {
    select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
    if (entries.some(([value]) => value === selected)) select.value = selected;
  }

  /** Offer the filters and orders that reveal neither the AI's result while reading blind, nor annotations while they are off. */
  function offer() {
    const hides = C.isBlind(), hidden = { ai: hides, annotations: hides || !C.showsAnnotations() };
    const open = (table) => Object.entries(table).filter(([, entry]) => !hidden[entry[2]]);
    options($("filter-state"), open(STATES).map(([name, entry]) => [name, entry[0]]), $("filter-state").value);
    options($("sort"), open(SORTS).map(([name, entry]) => [name, entry[0]]), $("sort").value);
    $("filter-finding").disabled = hides;
  }

  /** Filter and sort anew. */
  function refresh() {
    const finding = label(), query = $("search").value.trim().toLowerCase();
    const keep = (STATES[$("filter-state").value] || STATES.all)[1], key = (SORTS[$("sort").value] || SORTS.listed)[1];
    shown = C.films.all.filter((film) => film.id.toLowerCase().includes(query) && keep(film, finding));
    const keys = new Map(shown.map((film) => [film.id, key(film, finding)]));
    shown.sort((a, b) => keys.get(a.id) - keys.get(b.id) || a.number - b.number);
    rowOf = new Map(shown.map((film, row) => [film.id, row]));
    $("list-count").textContent = shown.length + " of " + C.count(C.films.all.length, "film");
    $("rows-space").style.height = shown.length * ROW_PX + "px";
    draw();
  }

  /** Draw the rows that can be seen. */
  function draw() {
    const box = $("rows"), first = Math.max(0, Math.floor(box.scrollTop / ROW_PX) - SPARE);
    const last = Math.min(shown.length, first + Math.ceil(box.clientHeight / ROW_PX) + 2 * SPARE);
    $("rows-shown").style.transform = "translateY(" + first * ROW_PX + "px)";
    $("rows-shown").replaceChildren(...shown.slice(first, last).map((film, i) => row(film, first + i)));
    const current = C.current ? rowOf.get(C.current.id) : undefined; // undefined compares as false
    if (current >= first && current < last) box.setAttribute("aria-activedescendant", "row-" + C.current.number);
    else box.removeAttribute("aria-activedescendant");
    showOpinions(box);
  }

  /** What the visible rows tell is seen: their films can no longer be read blind. */
  function showOpinions(box) {
    if (getComputedStyle(box).visibility === "hidden") return; // the list of a narrow page is closed
    const first = Math.floor(box.scrollTop / ROW_PX), last = Math.ceil((box.scrollTop + box.clientHeight) / ROW_PX);
    for (const film of shown.slice(first, last)) if (!C.hidesAi(film)) C.inSight(film, false);
  }

  function row(film, index) {
    const status = C.state.status(film.id), element = document.createElement("div");
    element.id = "row-" + film.number;
    element.className = "row " + status;
    element.setAttribute("role", "option");
    element.setAttribute("aria-selected", String(film === C.current));
    element.setAttribute("aria-setsize", shown.length);
    element.setAttribute("aria-posinset", index + 1);
    element.dataset.id = film.id;
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.textContent = { unread: "○", open: "◐", read: "●" }[status];
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", { unread: "not yet read", open: "opened", read: "read" }[status]);
    const id = document.createElement("span");
    id.className = "id";
    id.textContent = C.shortId(film.id);
    element.title = film.id;
    const ai = document.createElement("span");
    ai.className = "ai";
    ai.textContent = C.hidesAi(film) ? "" : opinion(film);
    const differs = document.createElement("span");
    differs.className = "differs";
    if (C.showsAnnotations() && !C.hidesAi(film) && disagreement(film, label()) > 0) {
      differs.textContent = "≠";
      differs.title = "AI and annotation differ: " + disagreement(film, label()).toFixed(2);
    }
    element.append(mark, id, differs, ai);
    return element;
  }

  function opinion(film) {
    const finding = label();
    if (finding !== null) return C.certainty(film, finding) + (film.probabilities[finding] !== null && film.reported[finding] ? " reported" : "");
    const names = C.run.labels.filter((name, i) => film.reported[i]);
    return names.length ? names.join(", ") : "nothing reported";
  }

  /** Bring a film's row into view. */
  function reveal(film) {
    const index = rowOf.get(film.id), box = $("rows");
    if (index === undefined) return draw();
    const top = index * ROW_PX;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + ROW_PX > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW_PX - box.clientHeight;
    draw();
  }

  /** The film `step` rows on; the first or last of the list for a film that is not listed. */
  function beside(film, step) {
    const index = rowOf.get(film.id);
    if (index !== undefined) return shown[index + step] || null;
    return step > 0 ? shown[0] || null : shown[shown.length - 1] || null;
  }

  /** The next film that is not read, after this one in the list, else from its beginning. */
  function nextUnread(film) {
    const index = rowOf.has(film.id) ? rowOf.get(film.id) : -1;
    const isOpen = (other) => other !== film && C.state.status(other.id) !== "read";
    return shown.slice(index + 1).find(isOpen) || shown.find(isOpen) || null;
  }

  function progress() {
    const read = C.films.all.filter((film) => C.state.status(film.id) === "read").length;
    $("progress").textContent = read + " of " + C.films.all.length + " read";
  }

  function start() {
    options($("filter-finding"), [["", "Any finding"], ...C.run.labels.map((name, i) => [String(i), name])], "");
    offer();
    $("sort").value = "listed";
    for (const id of ["filter-finding", "filter-state", "sort"]) $(id).addEventListener("change", refresh);
    $("search").addEventListener("input", refresh);
    $("rows").addEventListener("scroll", draw, { passive: true });
    $("rows").addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) { C.open(C.films.byId.get(row.dataset.id)); C.closeList(); }
    });
    new ResizeObserver(draw).observe($("rows"));
    C.state.listen(() => { draw(); progress(); });
    refresh();
    progress();
  }

  C.worklist = { start: start, refresh: refresh, offer: offer, draw: draw, reveal: reveal, beside: beside, nextUnread: nextUnread, get shown() { return shown; } };
})(window.CAMRAY = window.CAMRAY || {});
