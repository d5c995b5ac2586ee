/* Films: the worklist's entry of each (run.js), and the data of a film, loaded when it is opened.
 *
 * A film's data are a small script that calls CAMRAY.receive: a page opened from the disk may not fetch. The data of a
 * few films are kept.
 */
(function (C) {
  "use strict";
  const KEPT = 12, loaded = new Map(), waiting = new Map();

  C.run.films.forEach((film, number) => { film.number = number; });
  const byId = new Map(C.run.films.map((film) => [film.id, film]));

  /** Called by data/<name>.js. */
  C.receive = function (name, data) {
    data.heat = C.heat.halves(data.heat, C.run.exponent);
    data.maps = {};
    loaded.set(name, data);
    while (loaded.size > KEPT) loaded.delete(loaded.keys().next().value);
    const request = waiting.get(name);
    waiting.delete(name);
    if (request) request.resolve(data);
  };

  /** Load a film's data, once. */
  function load(film) {
    if (loaded.has(film.file)) {
      const data = loaded.get(film.file);
      loaded.delete(film.file);
      loaded.set(film.file, data); // most lately used last
      return Promise.resolve(data);
    }
    if (!waiting.has(film.file)) {
      const request = {};
      request.promise = new Promise((resolve, reject) => { request.resolve = resolve; request.reject = reject; });
      waiting.set(film.file, request);
      const script = document.createElement("script");
      script.src = "data/" + film.file + ".js";
      const fail = (reason) => { waiting.delete(film.file); request.reject(new Error(reason)); };
      script.onload = () => {
        script.remove();
        if (waiting.has(film.file)) fail("its data file is damaged"); // it ran, and did not hand them over
      };
      script.onerror = () => { script.remove(); fail("its data file is missing"); };
      document.head.append(script);
    }
    return waiting.get(film.file).promise;
  }

  /** Ask for a film's data and picture ahead of need. */
  function preload(film) {
    if (!film) return;
    load(film).catch(() => {});
    new Image().src = picture(film);
  }

  /** A finding's probability as text; in words where the run states none. */
  C.certainty = (film, label) => (film.probabilities[label] !== null ? film.probabilities[label].toFixed(2) : film.reported[label] ? "reported" : film.not_judged[label] ? "not judged" : "not reported");

  /** What findings are ranked by: probabilities, or raw logits where the run does not state them all. */
  C.ranks = (film) => (film.probabilities.includes(null) ? film.logits : film.probabilities);

  function picture(film) { return "films/" + film.file + "." + C.run.picture_format; }

  /** The run's own boxes of a label, as the run wrote them. */
  function ownBoxes(data, label) { return data.boxes[label]; }

  C.films = { all: C.run.films, byId: byId, load: load, preload: preload, picture: picture, ownBoxes: ownBoxes };
})(window.CAMRAY = window.CAMRAY || {});
