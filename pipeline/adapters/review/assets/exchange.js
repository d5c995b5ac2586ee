/* Decisions as a file: out, and in again (the form is described in pipeline/adapters/review/decisions.py). */
(function (C) {
  "use strict";
  const FORM = "camray-review/1";

  /** What goes into the file. */
  function decisions() {
    const films = [];
    for (const film of C.films.all) {
      const record = C.state.records.get(film.id);
      if (!record) continue;
      const findings = {};
      C.run.labels.forEach((label, number) => {
        const kept = record.findings[label];
        if (!kept && !record.finished) return;
        const one = kept || C.state.blankFinding();
        findings[label] = {
          verdict: one.verdict, boxes: one.boxes, comment: one.comment, level: one.level, changed: one.changed || record.changed,
          ai: { reported: film.reported[number], probability: film.probabilities[number], boxes: film.boxes[number] },
        };
      });
      films.push({
        image_id: film.id, finished: record.finished, opened: record.opened, changed: record.changed, seconds: record.seconds,
        blind_seconds: record.blind_seconds, revealed: record.revealed, blind: record.blind, findings: findings,
      });
    }
    return {
      format: FORM, run: { name: C.run.name, digest: C.run.digest, method: C.run.method }, labels: C.run.labels,
      reader: C.state.reader, exported: C.state.now(), note: "AI, not verified; boxes are [x0, y0, x1, y1], native px, half-open", films: films,
    };
  }

  function plain(text) { return text.replace(/[^A-Za-z0-9._-]+/g, "_"); }

  function save() {
    const blob = new Blob([JSON.stringify(decisions(), null, 1) + "\n"], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = "decisions-" + plain(C.run.name) + "-" + plain(C.state.reader) + ".json";
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    C.say("Exported " + link.download);
  }

  function asBoxes(value) {
    if (value === null || value === undefined) return null;
    return value.filter((box) => Array.isArray(box) && box.length === 4 && box.every(Number.isFinite) && box[2] > box[0] && box[3] > box[1]);
  }

  /** A film's record from a file, only what is understood. */
  function recordOf(film) {
    const record = C.state.blank();
    for (const key of ["finished", "revealed"]) record[key] = film[key] === true;
    for (const key of ["opened", "changed"]) record[key] = typeof film[key] === "string" ? film[key] : null;
    record.seconds = Number(film.seconds) || 0;
    record.blind_seconds = typeof film.blind_seconds === "number" ? film.blind_seconds : null;
    if (film.blind && typeof film.blind === "object") {
      record.blind = {};
      for (const label of C.run.labels) {
        const one = film.blind[label];
        if (one) record.blind[label] = { value: String(one.value), boxes: asBoxes(one.boxes) || [] };
      }
    }
    for (const label of C.run.labels) {
      const one = film.findings && film.findings[label];
      if (!one) continue;
      const found = C.state.blankFinding();
      found.verdict = C.state.VERDICTS.includes(one.verdict) ? one.verdict : null;
      found.boxes = asBoxes(one.boxes);
      found.comment = typeof one.comment === "string" ? one.comment : "";
      found.level = typeof one.level === "number" ? one.level : null;
      found.changed = typeof one.changed === "string" ? one.changed : null;
      if (found.verdict || found.boxes || found.comment) record.findings[label] = found;
    }
    return record;
  }

  /** Take a file's films in; of a film that both know, the later change counts. */
  function take(text) {
    let file;
    try { file = JSON.parse(text); } catch (error) { return tell("This is no JSON file."); }
    if (!file || file.format !== FORM || !Array.isArray(file.films)) return tell("This is no file of decisions (expected format " + FORM + ").");
    const found = new Map();
    let older = 0, unknown = 0;
    for (const film of file.films) {
      if (!film || !C.films.byId.has(film.image_id)) { unknown++; continue; }
      const mine = C.state.records.get(film.image_id), record = recordOf(film);
      if (mine && mine.changed && record.changed && mine.changed > record.changed) { older++; continue; }
      found.set(film.image_id, record);
    }
    if (found.size) C.state.replace(found);
    const lines = [found.size + " films taken in."];
    if (older) lines.push(older + " left as they are: changed here later than in the file.");
    if (unknown) lines.push(unknown + " are not of this run and were left out.");
    if (file.reader !== C.state.reader) lines.push("The file is by another reader (" + file.reader + "); from now on these decisions count as yours. Undo takes it back.");
    if (!file.run || file.run.digest !== C.run.digest) lines.push("The file was made with another state of the run: the AI's boxes may differ.");
    tell(lines.join(" "));
  }

  function tell(text) { C.message("Import", text); }

  C.exchange = { decisions: decisions, save: save, take: take };
})(window.CAMRAY = window.CAMRAY || {});
