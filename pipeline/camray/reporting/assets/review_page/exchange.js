/* Export and import of decisions as a file (the format is described in camray/adapters/review/decisions.py). */
(function (C) {
  "use strict";
  const FORM = "camray-review/1", VALUES = ["1", "0", "uncertain"];

  /** The content of the file. */
  function decisions() {
    const films = [];
    for (const film of C.films.all) {
      const record = C.state.records.get(film.id);
      if (!record || C.state.status(film.id) === "unread") continue;
      const findings = C.state.table();
      C.run.labels.forEach((label, number) => {
        const stored = record.findings[label];
        if (!stored && !record.finished) return;
        const finding = stored || C.state.blankFinding();
        findings[label] = {
          verdict: finding.verdict, value: finding.value, boxes: finding.boxes, comment: finding.comment, level: finding.level, changed: finding.changed || record.changed, shown: finding.shown,
          // whoever looks into the file of a film still read blind must not find the AI's result
          ai: C.hidesAi(film) && !finding.verdict ? null : { reported: film.reported[number], probability: film.probabilities[number], boxes: film.boxes[number] },
        };
      });
      films.push({
        image_id: film.id, finished: record.finished, opened: record.opened, changed: record.changed, seconds: record.seconds,
        blind_seconds: record.blind_seconds, revealed: record.revealed, annotations_seen: record.annotations_seen,
        finish_shown: record.finish_shown, blind: record.blind, findings: findings,
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
    C.storage.exported(link.download);
    C.say("Exported " + link.download);
  }

  /** Valid boxes; invalid ones are counted. */
  function asBoxes(value, ignored) {
    if (value === null || value === undefined) return null;
    const listed = Array.isArray(value) ? value : [null];
    const valid = listed.filter((box) => Array.isArray(box) && box.length === 4 && box.every(Number.isFinite) && box[2] > box[0] && box[3] > box[1]);
    ignored.boxes += listed.length - valid.length;
    return valid;
  }

  const isTable = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const asText = (value) => (typeof value === "string" ? value : null);
  const asTime = (value) => (Number.isFinite(value) && value >= 0 ? value : null);

  /** Answers of a file by label; those to findings that the run does not have are counted. */
  function answersOf(table, ignored) {
    if (!isTable(table)) return [];
    return Object.entries(table).filter(([label, answer]) => {
      const known = C.run.labels.includes(label) && isTable(answer);
      if (!known) ignored.findings++;
      return known;
    });
  }

  function asAnswer(value, legal, ignored) {
    if (legal.includes(value)) return value;
    if (value !== null && value !== undefined) ignored.answers++;
    return null;
  }

  const isKnown = (value) => value === true || value === false || value === null;

  /** What was shown, from a file; null (unknown) if it is missing or invalid. */
  function asShown(value, ignored) {
    if (value === null || value === undefined) return null;
    if (isTable(value) && isKnown(value.ai) && isKnown(value.annotations)) return { ai: value.ai, annotations: value.annotations };
    ignored.answers++;
    return null;
  }

  /** A film's record from a file; invalid parts are counted in `ignored`. */
  function recordOf(film, ignored) {
    const record = C.state.blank();
    for (const key of ["finished", "revealed"]) record[key] = film[key] === true;
    for (const key of ["opened", "changed"]) record[key] = asText(film[key]);
    record.annotations_seen = asAnswer(film.annotations_seen, [true, false], ignored);
    record.finish_shown = asShown(film.finish_shown, ignored);
    record.seconds = asTime(film.seconds) || 0;
    record.blind_seconds = asTime(film.blind_seconds);
    if (isTable(film.blind)) record.blind = C.state.table();
    for (const [label, entry] of answersOf(film.blind, ignored)) {
      const value = asAnswer(entry.value, VALUES, ignored);
      if (value) record.blind[label] = { value: value, boxes: asBoxes(entry.boxes, ignored) || [], shown: asShown(entry.shown, ignored) };
    }
    for (const [label, entry] of answersOf(film.findings, ignored)) {
      const finding = C.state.blankFinding();
      finding.verdict = asAnswer(entry.verdict, C.state.VERDICTS, ignored);
      finding.value = asAnswer(entry.value, VALUES, ignored);
      finding.boxes = asBoxes(entry.boxes, ignored);
      finding.comment = asText(entry.comment) || "";
      finding.level = Number.isFinite(entry.level) ? entry.level : null;
      finding.changed = asText(entry.changed);
      finding.shown = asShown(entry.shown, ignored);
      if (finding.verdict || finding.value || finding.boxes || finding.comment) record.findings[label] = finding;
    }
    return record;
  }

  const saysNothing = (record) => !record.finished && !record.blind && !Object.keys(record.findings).length;

  /** Import a file's films. Of two records of a film the later change is used, and an answer rather than none. */
  function take(text) {
    let file;
    try { file = JSON.parse(text); } catch (error) { return report("This is not a JSON file."); }
    if (!isTable(file) || file.format !== FORM || !Array.isArray(file.films)) return report("This is not a file of decisions (expected format " + FORM + ").");
    const imported = new Map(), ignored = { boxes: 0, findings: 0, answers: 0 };
    let older = 0, unknown = 0;
    for (const film of file.films) {
      if (!isTable(film) || !C.films.byId.has(film.image_id)) { unknown++; continue; }
      const own = C.state.records.get(film.image_id), record = recordOf(film, ignored);
      if (own && !saysNothing(own) && (saysNothing(record) || (own.changed || "") > (record.changed || ""))) { older++; continue; }
      if (own && own.revealed) record.revealed = true; // what was seen here stays seen
      if (own && own.annotations_seen) record.annotations_seen = true;
      imported.set(film.image_id, record);
    }
    if (imported.size) C.state.replace(imported);
    const lines = [C.count(imported.size, "film") + " imported."];
    if (older) lines.push(C.count(older, "film") + " kept as before: changed here more recently than in the file, or unanswered in the file.");
    if (unknown) lines.push("Ignored: " + C.count(unknown, "film") + " not in this run.");
    if (ignored.findings) lines.push("Ignored: " + C.count(ignored.findings, "answer") + " to findings that this run does not have.");
    if (ignored.boxes + ignored.answers) lines.push("Ignored because it is invalid: " + ignored.boxes + (ignored.boxes === 1 ? " box and " : " boxes and ") + C.count(ignored.answers, "answer") + ".");
    if (file.reader !== C.state.reader) lines.push("The file is by another reader (" + file.reader + "): its decisions now count as yours. Undo reverts this.");
    if (!isTable(file.run) || file.run.digest !== C.run.digest) lines.push("The file belongs to another version of the run: the AI's boxes may differ.");
    report(lines.join(" "));
  }

  function report(text) { C.message("Import", text); }

  C.exchange = { decisions: decisions, save: save, take: take };
})(window.CAMRAY = window.CAMRAY || {});
