/* Decisions as a file: out, and in again (the form is described in camray/adapters/review/decisions.py). */
(function (C) {
  "use strict";
  const FORM = "camray-review/1", VALUES = ["1", "0", "uncertain"];

  /** What goes into the file. */
  function decisions() {
    const films = [];
    for (const film of C.films.all) {
      const record = C.state.records.get(film.id);
      if (!record) continue;
      const findings = C.state.table();
      C.run.labels.forEach((label, number) => {
        const kept = record.findings[label];
        if (!kept && !record.finished) return;
        const one = kept || C.state.blankFinding();
        findings[label] = {
          verdict: one.verdict, value: one.value, boxes: one.boxes, comment: one.comment, level: one.level, changed: one.changed || record.changed,
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

  function plain(text) { return text.normalize("NFC").replace(/[^\p{L}\p{M}\p{N}._-]+/gu, "_"); }

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

  /** Boxes that are boxes; what is none is counted. */
  function asBoxes(value, left) {
    if (value === null || value === undefined) return null;
    const listed = Array.isArray(value) ? value : [null];
    const found = listed.filter((box) => Array.isArray(box) && box.length === 4 && box.every(Number.isFinite) && box[2] > box[0] && box[3] > box[1]);
    left.boxes += listed.length - found.length;
    return found;
  }

  const isTable = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const asText = (value) => (typeof value === "string" ? value : null);
  const asTime = (value) => (Number.isFinite(value) && value >= 0 ? value : null);

  /** Answers of a file by label; those to findings that the run does not have are counted. */
  function answersOf(table, left) {
    if (!isTable(table)) return [];
    return Object.entries(table).filter(([label, one]) => {
      const known = C.run.labels.includes(label) && isTable(one);
      if (!known) left.findings++;
      return known;
    });
  }

  function asAnswer(value, legal, left) {
    if (legal.includes(value)) return value;
    if (value !== null && value !== undefined) left.answers++;
    return null;
  }

  /** A film's record from a file, only what is understood; what is not is counted in `left`. */
  function recordOf(film, left) {
    const record = C.state.blank();
    for (const key of ["finished", "revealed"]) record[key] = film[key] === true;
    for (const key of ["opened", "changed"]) record[key] = asText(film[key]);
    record.seconds = asTime(film.seconds) || 0;
    record.blind_seconds = asTime(film.blind_seconds);
    if (isTable(film.blind)) record.blind = C.state.table();
    for (const [label, one] of answersOf(film.blind, left)) {
      const value = asAnswer(one.value, VALUES, left);
      if (value) record.blind[label] = { value: value, boxes: asBoxes(one.boxes, left) || [] };
    }
    for (const [label, one] of answersOf(film.findings, left)) {
      const found = C.state.blankFinding();
      found.verdict = asAnswer(one.verdict, C.state.VERDICTS, left);
      found.value = asAnswer(one.value, VALUES, left);
      found.boxes = asBoxes(one.boxes, left);
      found.comment = asText(one.comment) || "";
      found.level = Number.isFinite(one.level) ? one.level : null;
      found.changed = asText(one.changed);
      if (found.verdict || found.value || found.boxes || found.comment) record.findings[label] = found;
    }
    return record;
  }

  const saysNothing = (record) => !record.finished && !record.blind && !Object.keys(record.findings).length;

  /** Take a file's films in; of a film that both know, the later change counts, and any answer before none. */
  function take(text) {
    let file;
    try { file = JSON.parse(text); } catch (error) { return tell("This is not a JSON file."); }
    if (!isTable(file) || file.format !== FORM || !Array.isArray(file.films)) return tell("This is not a file of decisions (expected format " + FORM + ").");
    const found = new Map(), left = { boxes: 0, findings: 0, answers: 0 };
    let older = 0, unknown = 0;
    for (const film of file.films) {
      if (!isTable(film) || !C.films.byId.has(film.image_id)) { unknown++; continue; }
      const mine = C.state.records.get(film.image_id), record = recordOf(film, left);
      if (mine && !saysNothing(mine) && (saysNothing(record) || (mine.changed || "") > (record.changed || ""))) { older++; continue; }
      found.set(film.image_id, record);
    }
    if (found.size) C.state.replace(found);
    const lines = [C.count(found.size, "film") + " imported."];
    if (older) lines.push(C.count(older, "film") + " kept as before: changed here more recently than in the file, or unanswered in the file.");
    if (unknown) lines.push("Ignored: " + C.count(unknown, "film") + " not in this run.");
    if (left.findings) lines.push("Ignored: " + C.count(left.findings, "answer") + " to findings that this run does not have.");
    if (left.boxes + left.answers) lines.push("Ignored because it is invalid: " + left.boxes + (left.boxes === 1 ? " box and " : " boxes and ") + C.count(left.answers, "answer") + ".");
    if (file.reader !== C.state.reader) lines.push("The file is by another reader (" + file.reader + "): its decisions now count as yours. Undo reverts this.");
    if (!isTable(file.run) || file.run.digest !== C.run.digest) lines.push("The file belongs to another version of the run: the AI's boxes may differ.");
    tell(lines.join(" "));
  }

  function tell(text) { C.message("Import", text); }

  C.exchange = { decisions: decisions, save: save, take: take };
})(window.CAMRAY = window.CAMRAY || {});
