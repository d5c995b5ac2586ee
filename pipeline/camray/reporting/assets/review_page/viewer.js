/* The film on the screen: position and zoom, window and level, colours of the heat map. */
(function (C) {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const view = { scale: 1, x: 0, y: 0, fitted: true };
  const grey = { level: 127.5, width: 255, inverted: false };
  let painted = "";

  const film = () => $("film"), port = () => $("viewport");
  const height = () => C.data.rows * C.current.aspect; // in widths of a native pixel

  function toScreen(x, y) { return [view.x + x * view.scale, view.y + y * C.current.aspect * view.scale]; }
  function toNative(x, y) { return [(x - view.x) / view.scale, (y - view.y) / (C.current.aspect * view.scale)]; }

  function place(element, box) {
    const [x0, y0] = toScreen(box[0], box[1]), [x1, y1] = toScreen(box[2], box[3]);
    Object.assign(element.style, { left: x0 + "px", top: y0 + "px", width: x1 - x0 + "px", height: y1 - y0 + "px" });
  }

  /** Position film and heat map by the view. */
  function layout() {
    if (!C.data) return;
    place(film(), [0, 0, C.data.cols, C.data.rows]);
    const w = C.data.window, t = C.data.transform; // the heat map covers these model pixels
    place($("heat"), [(w[2] - t[2]) / t[0], (w[0] - t[3]) / t[1], (w[3] - t[2]) / t[0], (w[1] - t[3]) / t[1]]);
    C.marks.draw();
  }

  /** Show the whole film. */
  function fit() {
    if (!C.data) return;
    const margin = 6, wide = port().clientWidth - 2 * margin, high = port().clientHeight - 2 * margin;
    view.scale = Math.max(Math.min(wide / C.data.cols, high / height()), 1e-3);
    view.x = (port().clientWidth - C.data.cols * view.scale) / 2;
    view.y = (port().clientHeight - height() * view.scale) / 2;
    view.fitted = true;
    layout();
  }

  /** Zoom about a point of the viewport, its middle by default. */
  function zoom(factor, x, y) {
    if (!C.data) return;
    x = x === undefined ? port().clientWidth / 2 : x;
    y = y === undefined ? port().clientHeight / 2 : y;
    const scale = Math.min(Math.max(view.scale * factor, 0.02), 60), ratio = scale / view.scale;
    view.x = x - (x - view.x) * ratio;
    view.y = y - (y - view.y) * ratio;
    view.scale = scale;
    view.fitted = false;
    layout();
  }

  function pan(dx, dy) {
    view.x += dx;
    view.y += dy;
    view.fitted = false;
    layout();
  }

  /** Window and level as a filter: the picture's pixels are never touched. */
  function applyGrey() {
    let slope = 255 / grey.width, intercept = -(grey.level - grey.width / 2) / grey.width;
    if (grey.inverted) { slope = -slope; intercept = 1 - intercept; }
    for (const part of document.querySelectorAll("#grey feComponentTransfer > *")) {
      part.setAttribute("slope", slope);
      part.setAttribute("intercept", intercept);
    }
    $("level").value = grey.level;
    $("width").value = grey.width;
    $("invert").setAttribute("aria-pressed", String(grey.inverted));
    film().style.filter = "none"; // some browsers notice a changed filter only when it is set again
    void film().offsetWidth;
    film().style.filter = "url(#grey)";
  }

  function setGrey(level, width) {
    grey.level = Math.min(Math.max(level, 0), 255);
    grey.width = Math.min(Math.max(width, 2), 510);
    applyGrey();
  }
  function invert() { grey.inverted = !grey.inverted; applyGrey(); }
  function resetGrey() { grey.inverted = false; setGrey(127.5, 255); }

  /** Draw the selected finding's heat map; nothing while the AI is hidden. */
  function drawHeat() {
    const canvas = $("heat"), opacity = Number($("opacity").value);
    const hidden = !C.data || C.hidesAi(C.current) || opacity === 0;
    canvas.style.visibility = hidden ? "hidden" : "visible";
    canvas.style.opacity = opacity;
    if (hidden) return;
    const key = C.current.id + "/" + C.label;
    if (key === painted) return;
    const map = C.heat.mapOf(C.data, C.label), colours = C.run.colours;
    canvas.width = map.cols;
    canvas.height = map.rows;
    const pen = canvas.getContext("2d"), image = pen.createImageData(map.cols, map.rows);
    if (map.high > 0) {
      map.values.forEach((value, i) => {
        const part = Math.max(value, 0) / map.high, colour = colours[Math.round(part * 255)];
        image.data[4 * i] = colour >> 16;
        image.data[4 * i + 1] = (colour >> 8) & 255;
        image.data[4 * i + 2] = colour & 255;
        image.data[4 * i + 3] = 255 * Math.sqrt(part);
      });
    }
    pen.putImageData(image, 0, 0);
    painted = key;
  }

  /** Show a film whose data are there. */
  function show() {
    painted = "";
    film().src = C.films.picture(C.current);
    film().alt = "Chest film " + C.current.id;
    fit();
    drawHeat();
  }

  function clear(note) {
    painted = "";
    film().removeAttribute("src");
    $("heat").style.visibility = "hidden";
    $("marks").replaceChildren();
    $("film-note").textContent = note;
  }

  function start() {
    $("zoom-in").onclick = () => zoom(1.25);
    $("zoom-out").onclick = () => zoom(0.8);
    $("fit").onclick = fit;
    $("invert").onclick = invert;
    $("level").oninput = () => setGrey(Number($("level").value), grey.width);
    $("width").oninput = () => setGrey(grey.level, Number($("width").value));
    $("opacity").oninput = drawHeat;
    film().onerror = () => {
      if (!film().getAttribute("src")) return;
      film().style.visibility = "hidden"; // the browser's sign of a broken picture would cover the words
      $("film-note").textContent = "The picture of this film is not in the folder.";
    };
    film().onload = () => { film().style.visibility = "visible"; };
    new ResizeObserver(() => (view.fitted ? fit() : layout())).observe(port());
    applyGrey();
  }

  C.viewer = {
    view: view, grey: grey, start: start, show: show, clear: clear, fit: fit, zoom: zoom, pan: pan, layout: layout, drawHeat: drawHeat,
    setGrey: setGrey, resetGrey: resetGrey, invert: invert, toScreen: toScreen, toNative: toNative,
  };
})(window.CAMRAY = window.CAMRAY || {});
