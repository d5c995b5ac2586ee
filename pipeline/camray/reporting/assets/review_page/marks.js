/* Boxes: their sources, changes to them, and their drawing.
 *
 * The AI's boxes are cyan and solid, the reader's amber, annotations green and dashed; dashes and labels tell them apart
 * without colour. During a drag a preview replaces the reader's boxes.
 */
(function (C) {
  "use strict";
  const NS = "http://www.w3.org/2000/svg", HANDLE_PX = 9;
  const FINGER_PX = 44, MOUSE_PX = 24; // least targets: WCAG 2.2, 2.5.5 for fingers, 2.5.8
  const coarse = window.matchMedia("(pointer: coarse)");
  const $ = (id) => document.getElementById(id);
  C.selected = -1; // index among the selected finding's boxes
  C.preview = null; // boxes during a drag

  /** The AI's boxes of a label at the slider's level; the run's own where it is not moved. */
  function aiBoxes(label) {
    const range = C.regions.levelRange(C.data, label), level = C.levels[label];
    if (!range || level === undefined || level === range.own) return C.films.ownBoxes(C.data, label);
    return C.regions.boxesAt(C.data, label, level);
  }

  const isMoved = (label) => C.levels[label] !== undefined && C.levels[label] !== C.regions.levelRange(C.data, label).own;

  /** The current boxes of a label: the reader's, else the AI's where it reports the label and is not rejected. */
  function standing(label) {
    const finding = C.state.finding(C.current.id, C.run.labels[label]);
    if (finding.boxes) return finding.boxes;
    if (C.hidesAi(C.current) || !C.current.reported[label] || finding.verdict === "reject") return [];
    return aiBoxes(label);
  }

  function clamp(box) {
    const cols = C.data.cols, rows = C.data.rows, least = 1;
    const x0 = Math.min(Math.max(Math.min(box[0], box[2]), 0), cols - least), y0 = Math.min(Math.max(Math.min(box[1], box[3]), 0), rows - least);
    const x1 = Math.max(Math.min(Math.max(box[0], box[2]), cols), x0 + least), y1 = Math.max(Math.min(Math.max(box[1], box[3]), rows), y0 + least);
    return [x0, y0, x1, y1].map((v) => Math.round(v * 100) / 100);
  }

  /** Move a box without changing its size. */
  function shifted(box, dx, dy) {
    dx = Math.min(Math.max(dx, -box[0]), C.data.cols - box[2]);
    dy = Math.min(Math.max(dy, -box[1]), C.data.rows - box[3]);
    return clamp([box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy]);
  }

  /** Make boxes the reader's own: the finding is present, and adjusted. */
  function keep(label, boxes, message) {
    const name = C.run.labels[label], blind = C.hidesAi(C.current), level = !blind && isMoved(label) ? C.levels[label] : null;
    C.state.editFinding(C.current.id, name, (finding) => {
      finding.boxes = boxes.map(clamp);
      finding.level = level;
      if (blind) finding.value = "1";
      else finding.verdict = "adjust";
    });
    if (message) C.say(message);
  }

  function replaceAt(index, box) {
    const boxes = standing(C.label).slice();
    boxes[index] = box;
    keep(C.label, boxes);
  }

  function remove(index) {
    const boxes = standing(C.label).slice();
    if (index < 0 || index >= boxes.length) return C.say("Select a box first (B).");
    boxes.splice(index, 1);
    C.selected = Math.min(index, boxes.length - 1);
    keep(C.label, boxes, boxes.length ? "Box removed." : "No box left: the finding is recorded as present without a box. Press R if it is absent.");
  }

  /** Add a box a fifth of the view wide, in its middle. */
  function addInMiddle() {
    const port = $("viewport"), [x0, y0] = C.viewer.toNative(port.clientWidth * 0.4, port.clientHeight * 0.4);
    const [x1, y1] = C.viewer.toNative(port.clientWidth * 0.6, port.clientHeight * 0.6);
    add([x0, y0, x1, y1]);
  }

  function add(box) {
    const boxes = standing(C.label).concat([clamp(box)]);
    C.selected = boxes.length - 1;
    keep(C.label, boxes, C.run.labels[C.label] + ": box " + boxes.length + " added.");
    C.pointer.choose("select"); // as after a box that was drawn
  }

  /** Copy the AI's boxes at the slider's threshold as the reader's own. */
  function adopt() {
    if (C.hidesAi(C.current)) return;
    C.selected = -1;
    keep(C.label, aiBoxes(C.label), isMoved(C.label) ? "The boxes at this threshold are now yours." : "The AI's boxes are now yours to change.");
  }

  function chooseNext() {
    const boxes = standing(C.label);
    if (!boxes.length) return C.say("No box of " + C.run.labels[C.label] + ".");
    C.selected = (C.selected + 1) % boxes.length;
    draw();
    const box = boxes[C.selected].map(Math.round);
    C.say("Box " + (C.selected + 1) + " of " + boxes.length + ": from " + box[0] + ", " + box[1] + " to " + box[2] + ", " + box[3]);
  }

  /** Move (or with `sizes` stretch) the chosen box by shares of the view. */
  function nudge(dx, dy, sizes) {
    const boxes = standing(C.label);
    if (C.selected < 0 || C.selected >= boxes.length) return false;
    const step = 6 / C.viewer.view.scale, box = boxes[C.selected];
    if (sizes) replaceAt(C.selected, clamp([box[0], box[1], box[2] + dx * step, box[3] + (dy * step) / C.current.aspect]));
    else replaceAt(C.selected, shifted(box, dx * step, (dy * step) / C.current.aspect));
    return true;
  }

  /** Side of the least target for a pointer (`mouse`, `touch`, `pen`); by default for the device's own. */
  function targetPx(pointer) { return (pointer ? pointer !== "mouse" : coarse.matches) ? FINGER_PX : MOUSE_PX; }

  /** Places along one side of a box: its two ends, and the middle where there is room; each with the reach of its target.
   * On a short side targets lie outwards, so that the box between them can still be moved.
   */
  function along(low, high, size) {
    const inwards = Math.min(size / 2, (high - low) / 3), outwards = size - inwards, middle = (low + high) / 2;
    const ends = [[low, "0", low - outwards, low + inwards], [high, "1", high - inwards, high + outwards]];
    return high - low >= 2 * size ? [...ends, [middle, "", middle - size / 2, middle + size / 2]] : ends;
  }

  /** The handles of a box on the screen: point, sides that it moves, and its target as [x0, y0, x1, y1]. */
  function handles(box, size) {
    const [x0, y0] = C.viewer.toScreen(box[0], box[1]), [x1, y1] = C.viewer.toScreen(box[2], box[3]);
    return along(x0, x1, size).flatMap(([x, side, left, right]) => along(y0, y1, size)
      .filter(([, other]) => side || other)
      .map(([y, other, top, bottom]) => ({ x: x, y: y, sides: [side && "x" + side, other && "y" + other].filter(Boolean), target: [left, top, right, bottom] })));
  }

  /** The handle of a box under a point of the screen. */
  function handleAt(box, x, y, size) {
    return handles(box, size).find(({ target }) => x >= target[0] && x <= target[2] && y >= target[1] && y <= target[3]);
  }

  function element(name, attributes, text) {
    const node = document.createElementNS(NS, name);
    for (const key of Object.keys(attributes)) node.setAttribute(key, attributes[key]);
    if (text) node.textContent = text;
    return node;
  }

  function drawBox(box, kind, text) {
    const [x0, y0] = C.viewer.toScreen(box[0], box[1]), [x1, y1] = C.viewer.toScreen(box[2], box[3]);
    const group = element("g", { class: "box " + kind });
    const at = { x: x0, y: y0, width: Math.max(x1 - x0, 1), height: Math.max(y1 - y0, 1) };
    group.append(element("rect", Object.assign({ class: "under" }, at)), element("rect", Object.assign({ class: "line" }, at)));
    if (text) {
      const inside = y0 < 20, y = inside ? Math.min(y1, $("viewport").clientHeight) - 5 : y0 - 5;
      group.append(element("text", { x: Math.max(x0, 2), y: y }, text));
    }
    $("marks").append(group);
  }

  /** Draw everything anew. */
  function draw() {
    const svg = $("marks");
    svg.replaceChildren();
    if (!C.data) return;
    const hidden = C.hidesAi(C.current);
    C.run.labels.forEach((name, label) => { if (label !== C.label) drawFinding(name, label, hidden, false); });
    if (!hidden && C.showsAnnotations()) {
      for (const annotation of C.data.annotations) {
        const chosen = annotation.label === C.label;
        drawBox(annotation.box, chosen ? "annotated" : "annotated other", C.run.labels[annotation.label] + (annotation.reader ? ", " + annotation.reader : ", annotated"));
      }
    }
    drawFinding(C.run.labels[C.label], C.label, hidden, true);
    spread([...svg.querySelectorAll("text")].reverse());
  }

  /** Keep labels visible and apart: the first (the selected finding's) stay, others move up or down by lines. */
  function spread(texts) {
    const port = $("viewport"), line = 16, placed = [];
    for (const text of texts) {
      const at = text.getBBox(), left = Math.max(Math.min(at.x, port.clientWidth - at.width - 2), 2);
      const free = (by) => at.y + by >= 0 && at.y + by + at.height <= port.clientHeight &&
        placed.every((other) => left >= other.x + other.width || left + at.width <= other.x || Math.abs(other.y - at.y - by) >= Math.min(other.height, line));
      const by = [0, -1, 1, -2, 2, -3, 3, -4, 4].map((lines) => lines * line).find(free) || 0;
      text.setAttribute("x", left);
      text.setAttribute("y", Number(text.getAttribute("y")) + by);
      placed.push({ x: left, y: at.y + by, width: at.width, height: at.height });
    }
  }

  function drawFinding(name, label, hidden, chosen) {
    const finding = C.state.finding(C.current.id, name), reported = C.current.reported[label], other = chosen ? "" : " other";
    if (!hidden && (reported || chosen)) {
      const faint = finding.boxes || finding.verdict === "reject" ? " behind" : "", below = reported ? "" : " below";
      const text = name + " " + C.certainty(C.current, label) + (reported ? ", AI" : C.current.not_judged[label] ? ", AI, not judged" : ", AI, below cutoff");
      aiBoxes(label).forEach((box, i) => drawBox(box, "ai" + other + faint + below, i || faint ? "" : text));
    }
    const mine = chosen && C.preview ? C.preview : finding.boxes;
    (mine || []).forEach((box, i) => drawBox(box, "mine" + other, i ? "" : name + ", " + C.state.reader));
    const boxes = chosen && C.preview ? C.preview : standing(label);
    if (chosen && C.selected >= 0 && C.selected < boxes.length) {
      drawBox(boxes[C.selected], "chosen", "");
      for (const { x, y, target } of handles(boxes[C.selected], targetPx())) {
        $("marks").append(element("rect", { class: "target", x: target[0], y: target[1], width: target[2] - target[0], height: target[3] - target[1] }));
        $("marks").append(element("rect", { class: "handle", x: x - HANDLE_PX / 2, y: y - HANDLE_PX / 2, width: HANDLE_PX, height: HANDLE_PX }));
      }
    }
  }

  C.marks = {
    draw: draw, aiBoxes: aiBoxes, isMoved: isMoved, standing: standing, clamp: clamp, shifted: shifted, keep: keep, replaceAt: replaceAt,
    remove: remove, add: add, addInMiddle: addInMiddle, adopt: adopt, chooseNext: chooseNext, nudge: nudge, handleAt: handleAt, targetPx: targetPx,
  };
})(window.CAMRAY = window.CAMRAY || {});
