/* Heat maps: from the bytes that the run stored to the map that boxes are cut from.
 *
 * The arithmetic is that of camray/core/localization/heat_maps.py (upsampled) and camray/core/localization/located_boxes.py (with_prior,
 * heat_thresholds), in the same order and rounded to single precision at the same places (Math.fround), so that boxes
 * at the run's own threshold are the run's own boxes.
 */
(function (C) {
  "use strict";
  const fround = Math.fround;

  /** Bytes of a base64 text. */
  function bytes(text) {
    const plain = atob(text), content = new Uint8Array(plain.length);
    for (let i = 0; i < plain.length; i++) content[i] = plain.charCodeAt(i);
    return content;
  }

  /** Half precision, little endian, times 2 ** -exponent. */
  function halves(text, exponent) {
    const raw = bytes(text), values = new Float32Array(raw.length / 2), scale = Math.pow(2, -exponent);
    for (let i = 0; i < values.length; i++) {
      const word = raw[2 * i] | (raw[2 * i + 1] << 8);
      const sign = word & 0x8000 ? -1 : 1, power = (word >> 10) & 31, rest = word & 1023;
      const value = power === 0 ? rest * Math.pow(2, -24) : (1 + rest / 1024) * Math.pow(2, power - 15);
      values[i] = fround(sign * value * scale);
    }
    return values;
  }

  function singles(text) {
    const raw = bytes(text);
    return new Float32Array(raw.buffer, 0, raw.length / 4);
  }

  /** Lowest and highest heat, and whether they differ. */
  function extent(map) {
    let low = Infinity, high = -Infinity;
    for (const value of map) { if (value < low) low = value; if (value > high) high = value; }
    const spread = fround(high - low), least = fround(fround(1e-5) * Math.max(Math.abs(low), Math.abs(high)));
    return { low: low, high: high, varies: spread > least };
  }

  /** The label-only prior added to a raw map, unless the map is constant. */
  function withPrior(map, prior, weight) {
    if (!weight || !prior || !extent(map).varies) return map;
    const sum = new Float32Array(map.length), factor = fround(weight);
    for (let i = 0; i < map.length; i++) sum[i] = map[i] + fround(factor * prior[i]);
    return sum;
  }

  function mirrored(i, n) {
    const period = 2 * n;
    i = ((i % period) + period) % period;
    return i < n ? i : period - 1 - i;
  }

  /** A Gaussian along one axis, edges mirrored; `kernel` is odd, symmetric, and comes from the run. */
  function smoothed(map, rows, cols, alongRows, kernel) {
    const result = new Float32Array(map.length), reach = (kernel.length - 1) / 2;
    const length = alongRows ? rows : cols, lines = alongRows ? cols : rows;
    const step = alongRows ? cols : 1, jump = alongRows ? 1 : cols;
    for (let line = 0; line < lines; line++) {
      const at = (i) => map[line * jump + mirrored(i, length) * step];
      for (let i = 0; i < length; i++) {
        let sum = at(i) * kernel[reach];
        for (let k = -reach; k < 0; k++) sum += (at(i + k) + at(i - k)) * kernel[reach + k];
        result[line * jump + i * step] = sum;
      }
    }
    return result;
  }

  /** For each pixel of [start, stop): the cell before it, and how far it is on the way to the next one. */
  function cellsOf(start, stop, side, cells) {
    const n = stop - start, before = new Int32Array(n), part = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      const centre = start + ((i + 0.5) * n) / n;
      const position = Math.min(Math.max((centre * cells) / side - 0.5, 0), cells - 1);
      before[i] = Math.min(Math.floor(position), Math.max(cells - 2, 0));
      part[i] = position - before[i];
    }
    return { before: before, part: part };
  }

  /** Bilinear from the feature grid to the film's window on the model grid. */
  function upsampled(map, grid, film) {
    const w = film.window, height = w[1] - w[0], width = w[3] - w[2];
    const row = cellsOf(w[0], w[1], grid.rows, grid.feature_rows), col = cellsOf(w[2], w[3], grid.cols, grid.feature_cols);
    const values = new Float32Array(height * width), cells = grid.feature_cols;
    const line = new Float32Array(cells), step = new Float32Array(cells);
    for (let r = 0; r < height; r++) {
      const above = row.before[r] * cells, below = Math.min(row.before[r] + 1, grid.feature_rows - 1) * cells;
      for (let k = 0; k < cells; k++) line[k] = map[above + k] + fround(row.part[r] * fround(map[below + k] - map[above + k]));
      for (let k = 0; k + 1 < cells; k++) step[k] = line[k + 1] - line[k];
      for (let c = 0; c < width; c++) values[r * width + c] = line[col.before[c]] + fround(col.part[c] * step[col.before[c]]);
    }
    return { values: values, rows: height, cols: width };
  }

  /** The map that a label's boxes are cut from: with prior and smoothing as its recipe says. */
  function mapOf(film, label) {
    if (film.maps[label]) return film.maps[label];
    const grid = C.run.grid, size = grid.feature_rows * grid.feature_cols, recipe = C.run.recipes[label];
    let map = film.heat.subarray(label * size, (label + 1) * size);
    if (recipe) {
      const prior = C.run.prior ? C.priors().subarray(label * size, (label + 1) * size) : null;
      map = withPrior(map, prior, recipe.prior);
      if (recipe.kernel.length > 1) {
        map = smoothed(map, grid.feature_rows, grid.feature_cols, true, recipe.kernel);
        map = smoothed(map, grid.feature_rows, grid.feature_cols, false, recipe.kernel);
      }
    }
    const result = upsampled(map, grid, film);
    Object.assign(result, extent(result.values));
    film.maps[label] = result;
    return result;
  }

  let priors = null;
  C.priors = function () { return priors || (priors = singles(C.run.prior)); };

  function nextUp(value) {
    const single = new Float32Array([value]), word = new Int32Array(single.buffer);
    if (single[0] === 0) return Math.pow(2, -149);
    word[0] += single[0] > 0 ? 1 : -1;
    return single[0];
  }

  /** Otsu's threshold of 256 bins, as scikit-image computes it. */
  function otsu(map) {
    const bins = 256, counts = new Float64Array(bins), low = map.low, high = map.high, width = (high - low) / bins;
    for (const value of map.values) counts[Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins))]++;
    let below = 0, belowSum = 0, all = 0, allSum = 0, best = -1, cut = low;
    const centre = (i) => low + (i + 0.5) * width;
    for (let i = 0; i < bins; i++) { all += counts[i]; allSum += counts[i] * centre(i); }
    for (let i = 0; i + 1 < bins; i++) {
      below += counts[i]; belowSum += counts[i] * centre(i);
      const above = all - below;
      const between = below && above ? below * above * Math.pow(belowSum / below - (allSum - belowSum) / above, 2) : 0;
      if (between > best) { best = between; cut = centre(i); }
    }
    return cut;
  }

  function quantile(map, share) {
    const sorted = map.sorted || (map.sorted = Float32Array.from(map.values).sort());
    const rank = (sorted.length - 1) * share, below = Math.floor(rank), above = Math.min(below + 1, sorted.length - 1);
    const part = rank - below, gap = fround(sorted[above] - sorted[below]);
    return part >= 0.5 ? sorted[above] - gap * (1 - part) : sorted[below] + gap * part;
  }

  /** The threshold in units of the heat; Infinity for a constant map, and for one nowhere above the background or zero. */
  function cutOf(map, recipe, level) {
    const reference = recipe.reference, zero = reference === "background" ? fround(recipe.background) : 0;
    if (!map.varies || (reference !== "range" && map.high <= zero)) return Infinity;
    let cut;
    switch (reference) {
      case "background": cut = recipe.background + (map.high - recipe.background) * level; break;
      case "max": cut = map.high * level; break;
      case "range": cut = map.low + fround(map.high - map.low) * level; break;
      case "quantile": cut = quantile(map, level); break;
      case "otsu": cut = otsu(map) * level; break;
      default: cut = level;
    }
    const least = nextUp(map.low), mayBeNegative = reference === "range" || reference === "background";
    const floor = mayBeNegative ? least : Math.max(least, Math.pow(2, -149));
    return Math.max(fround(cut), floor);
  }

  C.heat = { halves: halves, mapOf: mapOf, cutOf: cutOf };
})(window.CAMRAY = window.CAMRAY || {});
