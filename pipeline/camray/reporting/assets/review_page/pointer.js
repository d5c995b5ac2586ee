/* Mouse, pen and fingers on the film: choose, move and stretch boxes, draw new ones, pan, pinch, window. */
(function (C) {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const LEAST_PX = 5; // a shorter stroke draws nothing
  const fingers = new Map();
  let drag = null;
  C.tool = "select";

  function choose(tool) {
    C.tool = tool;
    for (const name of ["select", "draw", "window"]) $("tool-" + name).setAttribute("aria-pressed", String(name === tool));
    $("viewport").dataset.tool = tool;
  }

  function at(event) {
    const frame = $("viewport").getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  /** Whether a point of the screen is on a box, which is at least a target large. */
  function contains(box, x, y, size) {
    const [x0, y0] = C.viewer.toScreen(box[0], box[1]), [x1, y1] = C.viewer.toScreen(box[2], box[3]);
    const dx = Math.max(size - (x1 - x0), 0) / 2, dy = Math.max(size - (y1 - y0), 0) / 2;
    return x >= x0 - dx && x <= x1 + dx && y >= y0 - dy && y <= y1 + dy;
  }
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);

  /** The smallest box under a point of the screen. */
  function hit(boxes, x, y, size) {
    let best = -1;
    boxes.forEach((box, i) => { if (contains(box, x, y, size) && (best < 0 || area(box) < area(boxes[best]))) best = i; });
    return best;
  }

  /** Decide what a press begins. */
  function begin(event) {
    const [sx, sy] = at(event), [x, y] = C.viewer.toNative(sx, sy), boxes = C.marks.standing(C.label);
    if (event.button === 2 || C.tool === "window") return { kind: "window", sx: sx, sy: sy, level: C.viewer.grey.level, width: C.viewer.grey.width };
    if (event.button === 1) return { kind: "pan", sx: sx, sy: sy };
    const size = C.marks.targetPx(event.pointerType);
    if (C.selected >= 0 && C.selected < boxes.length) {
      const handle = C.marks.handleAt(boxes[C.selected], sx, sy, size);
      if (handle) return { kind: "size", sides: handle.sides, index: C.selected, boxes: boxes, x: x, y: y };
    }
    if (C.tool === "draw") return { kind: "draw", boxes: boxes, x: x, y: y };
    const index = hit(boxes, sx, sy, size);
    if (index >= 0) {
      C.selected = index;
      C.marks.draw();
      return { kind: "move", index: index, boxes: boxes, x: x, y: y };
    }
    for (let label = 0; label < C.run.labels.length; label++) {
      if (label !== C.label && hit(C.marks.standing(label), sx, sy, size) >= 0) {
        C.chooseLabel(label);
        C.selected = hit(C.marks.standing(label), sx, sy, size);
        C.marks.draw();
        return { kind: "none" };
      }
    }
    C.selected = -1;
    C.marks.draw();
    return { kind: "pan", sx: sx, sy: sy };
  }

  /** The chosen finding's boxes as the drag would leave them. */
  function dragged(x, y) {
    const boxes = drag.boxes.slice(), old = boxes[drag.index];
    if (drag.kind === "draw") return boxes.concat([C.marks.clamp([drag.x, drag.y, x, y])]);
    if (drag.kind === "move") boxes[drag.index] = C.marks.shifted(old, x - drag.x, y - drag.y);
    else {
      const box = { x0: old[0], y0: old[1], x1: old[2], y1: old[3] };
      for (const side of drag.sides) box[side] += side[0] === "x" ? x - drag.x : y - drag.y;
      boxes[drag.index] = C.marks.clamp([box.x0, box.y0, box.x1, box.y1]);
    }
    return boxes;
  }

  function down(event) {
    if (!C.data) return;
    $("viewport").focus({ preventScroll: true });
    $("viewport").setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    if (fingers.size === 2) { drag = pinch(); C.preview = null; C.marks.draw(); return; }
    if (fingers.size > 2) return;
    drag = begin(event);
    drag.start = at(event);
    event.preventDefault();
  }

  function pinch() {
    const [a, b] = [...fingers.values()];
    return { kind: "pinch", apart: Math.hypot(a[0] - b[0], a[1] - b[1]), middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
  }

  function move(event) {
    if (!drag || !fingers.has(event.pointerId)) return;
    const [sx, sy] = at(event), [x, y] = C.viewer.toNative(sx, sy);
    fingers.set(event.pointerId, [sx, sy]);
    if (drag.kind === "pinch") {
      const now = pinch();
      C.viewer.pan(now.middle[0] - drag.middle[0], now.middle[1] - drag.middle[1]);
      C.viewer.zoom(now.apart / Math.max(drag.apart, 1), now.middle[0], now.middle[1]);
      drag = now;
    } else if (drag.kind === "pan") {
      C.viewer.pan(sx - drag.sx, sy - drag.sy);
      drag.sx = sx;
      drag.sy = sy;
    } else if (drag.kind === "window") {
      C.viewer.setGrey(drag.level + (sy - drag.sy) * 0.6, drag.width + (sx - drag.sx) * 1.2);
    } else if (drag.boxes) {
      drag.far = drag.far || Math.hypot(sx - drag.start[0], sy - drag.start[1]) >= LEAST_PX;
      if (!drag.far) return;
      C.preview = dragged(x, y);
      C.selected = drag.kind === "draw" ? C.preview.length - 1 : drag.index;
      C.marks.draw();
    }
  }

  function up(event) {
    if (!fingers.delete(event.pointerId) || !drag) return;
    const boxes = C.preview, kind = drag.kind;
    C.preview = null;
    drag = null;
    if (event.type === "pointercancel" || !boxes) return C.marks.draw();
    C.marks.keep(C.label, boxes, kind === "draw" ? C.run.labels[C.label] + ": box " + boxes.length + " added." : "");
    if (kind === "draw") choose("select");
  }

  function start() {
    const port = $("viewport");
    for (const name of ["select", "draw", "window"]) $("tool-" + name).onclick = () => choose(name);
    port.addEventListener("pointerdown", down);
    port.addEventListener("pointermove", move);
    port.addEventListener("pointerup", up);
    port.addEventListener("pointercancel", up);
    port.addEventListener("contextmenu", (event) => event.preventDefault());
    port.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [sx, sy] = at(event);
      C.viewer.zoom(Math.pow(1.0015, -event.deltaY), sx, sy);
    }, { passive: false });
    port.addEventListener("dblclick", () => C.viewer.fit());
    choose("select");
  }

  C.pointer = { start: start, choose: choose };
})(window.CAMRAY = window.CAMRAY || {});
