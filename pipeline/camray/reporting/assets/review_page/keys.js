/* Keys: one table for the keyboard and for the help dialog. */
(function (C) {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const slide = (id, step) => () => {
    const input = $(id);
    input.value = Number(input.value) + step;
    input.dispatchEvent(new Event("input"));
  };
  const arrow = (dx, dy) => (event) => {
    if (!C.marks.nudge(dx, dy, event.shiftKey)) C.viewer.pan(-dx * 40, -dy * 40);
  };

  /** Show the keys from the first one: the focus is on the button below them. */
  function help() {
    $("help-dialog").showModal();
    $("help-dialog").scrollTop = 0;
  }

  /** Keys as in event.key (letters in lower case), text of the help dialog, action. */
  const TABLE = [
    [["j", "PageDown"], "Next film", () => C.step(1)],
    [["k", "PageUp"], "Previous film", () => C.step(-1)],
    [["Enter"], "Finish the film and open the next unread one (blind: show the AI)", () => C.finish()],
    [["v"], "Blind first: show the AI", () => C.reveal()],
    [["1", "2", "3", "4", "5", "6", "7", "8", "9"], "Choose a finding", (event) => C.chooseLabel(Number(event.key) - 1)],
    [["f"], "Next finding", () => C.chooseLabel((C.label + 1) % C.run.labels.length)],
    [["c"], "Confirm the AI's result", () => C.findings.judge("confirm")],
    [["a"], "Adjust or add: present, with your boxes", () => C.findings.judge("adjust")],
    [["r"], "Reject: absent", () => C.findings.judge("reject")],
    [["u"], "Uncertain", () => C.findings.judge("uncertain")],
    [["m"], "Write a comment (Esc leaves the field)", () => $("comment").focus()],
    [["s"], "Tool: select, move, pan", () => C.pointer.choose("select")],
    [["d"], "Tool: draw a box", () => C.pointer.choose("draw")],
    [["w"], "Tool: drag to change window and level (or drag with the right mouse button)", () => C.pointer.choose("window")],
    [["n"], "Add a box in the middle of the view", () => C.marks.addInMiddle()],
    [["b"], "Select the next box", () => C.marks.chooseNext()],
    [["ArrowLeft"], "Move the selected box (with Shift: resize it); without one, pan", arrow(-1, 0)],
    [["ArrowRight"], null, arrow(1, 0)],
    [["ArrowUp"], null, arrow(0, -1)],
    [["ArrowDown"], null, arrow(0, 1)],
    [["Delete", "Backspace"], "Remove the selected box", () => C.marks.remove(C.selected)],
    [["t"], "Use the AI's boxes at this threshold", () => C.marks.adopt()],
    [[","], "Lower threshold", () => C.findings.stepLevel(-1)],
    [["."], "Higher threshold", () => C.findings.stepLevel(1)],
    [["["], "Heat map fainter", slide("opacity", -0.1)],
    [["]"], "Heat map stronger", slide("opacity", 0.1)],
    [["g"], "Annotations on or off", () => { if (!$("annotations-label").hidden) $("annotations").click(); }],
    [["+", "="], "Zoom in", () => C.viewer.zoom(1.25)],
    [["-"], "Zoom out", () => C.viewer.zoom(0.8)],
    [["0"], "Whole film", () => C.viewer.fit()],
    [["i"], "Invert", () => C.viewer.invert()],
    [["x"], "Reset window and level", () => C.viewer.resetGrey()],
    [["/"], "Search the list", () => { C.openList(); $("search").focus(); }],
    [["?"], "Show the keys", help],
  ];
  const SHOWN = { ArrowLeft: "Arrows", PageDown: "Page down", PageUp: "Page up", " ": "Space" };
  const actions = new Map();
  for (const [keys, , action] of TABLE) for (const key of keys) actions.set(key, action);

  function isTyping(target) {
    return target.matches("textarea, select, input:not([type=range]):not([type=checkbox]):not([type=file])");
  }

  function pressed(event) {
    if (document.querySelector("dialog[open]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key, target = event.target;
    if (event.ctrlKey || event.metaKey) {
      if (isTyping(target)) return;
      const again = key === "y" || (key === "z" && event.shiftKey);
      if (again || key === "z") { event.preventDefault(); C.undo(again); }
      if (key === "s") { event.preventDefault(); C.exchange.save(); }
      return;
    }
    if (event.altKey) return;
    if (key === "Escape") { C.closeList(); C.pointer.choose("select"); C.selected = -1; C.marks.draw(); $("viewport").focus({ preventScroll: true }); return; }
    if (isTyping(target)) return;
    if (target.matches("input[type=range]") && key.startsWith("Arrow")) return;
    if (target.matches("button, input[type=checkbox]") && (key === "Enter" || key === " ")) return;
    if (target.id === "rows" && (key === "ArrowDown" || key === "ArrowUp")) { event.preventDefault(); C.step(key === "ArrowDown" ? 1 : -1); return; }
    const action = actions.get(key);
    if (!action || (!C.data && !["j", "k", "/", "?", "PageDown", "PageUp"].includes(key))) return;
    event.preventDefault();
    action(event);
  }

  function start() {
    document.addEventListener("keydown", pressed);
    const rows = TABLE.filter((row) => row[1]).concat([[["Ctrl+Z", "Ctrl+Y"], "Undo, redo"], [["Ctrl+S"], "Export"], [["Esc"], "Leave a field or a tool"]]);
    for (const [keys, text] of rows) {
      const term = document.createElement("dt"), meaning = document.createElement("dd");
      const listed = keys[0] === "1" ? ["1", "…", "9"] : keys;
      listed.forEach((key) => {
        const cap = document.createElement("kbd");
        cap.textContent = SHOWN[key] || (key.length === 1 ? key.toUpperCase() : key);
        term.append(cap, " ");
      });
      meaning.textContent = text;
      const pair = document.createElement("div");
      pair.append(term, meaning);
      $("help-keys").append(pair);
    }
  }

  C.keys = { start: start, help: help };
})(window.CAMRAY = window.CAMRAY || {});
