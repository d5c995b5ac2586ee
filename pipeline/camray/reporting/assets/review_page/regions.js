/* Connected hot regions of a map, and the boxes they give on the native grid.
 *
 * The algorithm is that of camray/core/localization/connected_components.py (runs along rows, joined through corners) and of
 * camray/stages/localize/stage.py (widening, mapping to the native grid, clipping to the film).
 */
(function (C) {
  "use strict";

  /** Cut the map into runs of hot pixels and join those that touch; one region a root. */
  function regionsOf(map, cut, least) {
    const runs = [], values = map.values, cols = map.cols;
    const root = (i) => { while (runs[i].parent !== i) i = runs[i].parent; return i; };
    let above = 0, aboveEnd = 0;
    for (let r = 0; r < map.rows; r++) {
      const start = runs.length;
      let c = 0;
      while (c < cols) {
        if (values[r * cols + c] < cut) { c++; continue; }
        const run = { parent: runs.length, x0: c, y0: r, x1: c, y1: r + 1, peak: values[r * cols + c], total: 0, area: 0 };
        while (c < cols && values[r * cols + c] >= cut) {
          run.total += values[r * cols + c];
          run.peak = Math.max(run.peak, values[r * cols + c]);
          c++;
        }
        run.x1 = c;
        run.area = c - run.x0;
        runs.push(run);
        while (above < aboveEnd && runs[above].x1 < run.x0) above++;
        for (let other = above; other < aboveEnd && runs[other].x0 <= c; other++) {
          const first = root(other), second = root(run.parent);
          runs[Math.max(first, second)].parent = Math.min(first, second);
        }
      }
      above = start;
      aboveEnd = runs.length;
    }
    runs.forEach((run, number) => {
      const into = runs[root(number)];
      if (into === run) return;
      into.x0 = Math.min(into.x0, run.x0); into.y0 = Math.min(into.y0, run.y0);
      into.x1 = Math.max(into.x1, run.x1); into.y1 = Math.max(into.y1, run.y1);
      into.peak = Math.max(into.peak, run.peak);
      into.area += run.area; into.total += run.total;
    });
    return runs.filter((run, number) => run.parent === number && run.area >= least);
  }

  /** Boxes of one label on the native grid, best first: [x0, y0, x1, y1], px, half-open. */
  function boxesAt(film, label, level) {
    const recipe = C.run.recipes[label];
    if (!recipe) return [];
    const map = C.heat.mapOf(film, label), cut = C.heat.cutOf(map, recipe, level);
    if (!isFinite(cut)) return [];
    const regions = regionsOf(map, cut, C.run.min_area * map.rows * map.cols);
    const key = { hottest: (x) => x.peak, largest: (x) => x.area, evidence: (x) => x.total - x.area * cut }[recipe.region];
    regions.sort((a, b) => key(b) - key(a)); // stable: ties keep the order of their first pixels
    const boxes = [];
    for (const region of regions) {
      const box = toNative(film, widened(region, recipe.dilate));
      if (box) boxes.push(box);
      if (box && C.run.only_best) break;
    }
    return boxes;
  }

  function widened(box, factor) {
    const x = (box.x0 + box.x1) / 2, y = (box.y0 + box.y1) / 2;
    const across = ((box.x1 - box.x0) / 2) * factor, down = ((box.y1 - box.y0) / 2) * factor;
    return [x - across, y - down, x + across, y + down];
  }

  function toNative(film, box) {
    const t = film.transform, w = film.window; // scale_x, scale_y, offset_x, offset_y
    const x = (v) => (v + w[2] - t[2]) / t[0], y = (v) => (v + w[0] - t[3]) / t[1];
    const clipped = [Math.max(x(box[0]), 0), Math.max(y(box[1]), 0), Math.min(x(box[2]), film.cols), Math.min(y(box[3]), film.rows)];
    return clipped[2] > clipped[0] && clipped[3] > clipped[1] ? clipped : null;
  }

  /** Levels that the slider offers for a label on a film, and the run's own. */
  function levelRange(film, label) {
    const recipe = C.run.recipes[label];
    if (!recipe) return null;
    if (recipe.reference === "raw") {
      const high = Math.max(C.heat.mapOf(film, label).high, recipe.level, 1e-6);
      return { min: 0, max: high, step: high / 200, own: recipe.level };
    }
    if (recipe.reference === "otsu") return { min: 0.2, max: 3, step: 0.02, own: recipe.level };
    return { min: 0.01, max: 0.99, step: 0.01, own: recipe.level };
  }

  C.regions = { boxesAt: boxesAt, levelRange: levelRange };
})(window.CAMRAY = window.CAMRAY || {});
