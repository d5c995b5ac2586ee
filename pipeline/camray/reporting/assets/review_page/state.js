/* The reader's decisions: one record per film, saved in the browser as it changes, with undo.
 *
 * A record: {finished, opened, changed, seconds, blind_seconds, revealed, annotations_seen, finish_shown, blind,
 * findings}. A finding's record: {verdict, value, boxes, comment, level, changed, shown}: `verdict` confirm, reject,
 * adjust, uncertain or null; `value` the answer given blind ("1", "0", "uncertain"); `boxes` the reader's own, or null
 * where the AI's are used; `shown` what the reader had seen of the film when the answer was given, {ai, annotations},
 * each true, false, or null if an older page did not record it; `finish_shown` the same when the film was finished.
 */
(function (C) {
  "use strict";
  const VERDICTS = ["confirm", "adjust", "reject", "uncertain"];
  const records = new Map(), undone = [], redone = [], listeners = [];
  let reader = "";

  const now = () => new Date().toISOString();
  const prefix = () => "camray-review/" + C.run.digest + "/" + reader + "/";
  /** A table of findings by name that knows no other names: a finding may be called `constructor` or `__proto__`. */
  const table = (from) => Object.assign(Object.create(null), from);
  /** A record from its own text. */
  function read(text) {
    const record = Object.assign(blank(), { annotations_seen: null }, JSON.parse(text));
    record.findings = table(record.findings);
    if (record.blind) record.blind = table(record.blind);
    return record;
  }

  function blank() {
    return { finished: false, opened: null, changed: null, seconds: 0, blind_seconds: null, revealed: false, annotations_seen: false, finish_shown: null, blind: null, findings: table() };
  }
  function blankFinding() { return { verdict: null, value: null, boxes: null, comment: "", level: null, changed: null, shown: null }; }
  const answer = (finding) => JSON.stringify([finding.verdict, finding.value, finding.boxes]);

  /** The record of a film, to be read only. */
  function of(id) { return records.get(id) || blank(); }
  function finding(id, label) { return of(id).findings[label] || blankFinding(); }

  function save(id, isTime) { C.storage.save(id, records.get(id) || null, isTime); }

  /** A record from the storage's text; null if it is missing or invalid. */
  function parsed(text) {
    try {
      const record = JSON.parse(text);
      return record && typeof record.findings === "object" && record.findings ? read(text) : null;
    } catch (error) { return null; }
  }

  /** Drop a film's undo steps: another window has changed it, or the AI was shown. */
  function forget(id) {
    for (const steps of [undone, redone]) {
      for (let i = steps.length - 1; i >= 0; i--) {
        steps[i] = steps[i].filter((change) => change.id !== id);
        if (!steps[i].length) steps.splice(i, 1);
      }
    }
  }

  /** Take a film's record over from another window of the same reader, if it is later than ours; true if it was. */
  function catchUp(id, text) {
    const stored = parsed(text), own = records.get(id);
    if (!stored || (own && (own.changed || "") >= (stored.changed || ""))) return false;
    records.set(id, stored);
    forget(id);
    return true;
  }

  /** The same before a record is changed here: an event of the other window may still be on its way. */
  function newest(id) { return catchUp(id, C.storage.read(id)); }

  function notify(ids) { for (const listener of listeners) listener(ids); }

  /** Change a film's record; `change` gets a copy. With `quiet` it is no step of its own for undo. */
  function edit(id, change, quiet) {
    newest(id);
    const before = records.has(id) ? JSON.stringify(records.get(id)) : null, record = read(JSON.stringify(of(id)));
    change(record);
    record.changed = now();
    records.set(id, record);
    if (!quiet) undone.push([{ id: id, before: before }]);
    redone.length = 0;
    save(id);
    notify([id]);
  }

  /** Change one finding's record; a new answer is stored with what the reader had seen by then. */
  function editFinding(id, label, change, quiet) {
    edit(id, (record) => {
      const finding = record.findings[label] || blankFinding(), before = answer(finding);
      change(finding, record);
      if (answer(finding) !== before) finding.shown = C.shown(C.films.byId.get(id));
      finding.changed = now();
      record.findings[label] = finding;
    }, quiet);
  }

  function step(from, to) {
    const changes = from.pop();
    if (!changes) return null;
    to.push(changes.map((change) => ({ id: change.id, before: records.has(change.id) ? JSON.stringify(records.get(change.id)) : null, whole: change.whole })));
    for (const change of changes) {
      const current = records.get(change.id), record = change.before === null ? blank() : read(change.before);
      if (current && !change.whole) { // time cannot be undone, nor what was seen
        for (const key of ["opened", "seconds", "blind_seconds", "revealed", "annotations_seen"]) record[key] = current[key];
        record.changed = now();
      }
      if (change.before === null && change.whole) records.delete(change.id);
      else records.set(change.id, record);
      save(change.id);
    }
    notify(changes.map((change) => change.id));
    return changes[changes.length - 1].id;
  }

  /** Add reading time to a film. */
  function addTime(id, seconds, isBlind) {
    if (newest(id)) notify([id]);
    const record = records.get(id) || blank();
    if (!record.opened) record.opened = now();
    record.seconds = Math.round((record.seconds + seconds) * 10) / 10;
    if (isBlind) record.blind_seconds = Math.round(((record.blind_seconds || 0) + seconds) * 10) / 10;
    records.set(id, record);
    save(id, true);
  }

  /** The AI's result for a film is visible, and perhaps its annotations: later answers are not blind. Not a change by the reader, and no undo step. */
  function seen(id, isOpen, annotations) {
    newest(id);
    const record = records.get(id) || blank();
    if (isOpen && !record.opened) record.opened = now();
    record.revealed = true;
    if (annotations) record.annotations_seen = true;
    records.set(id, record);
    save(id);
  }

  /** Replace many records, times included, as one undo step. */
  function replace(imported) {
    undone.push([...imported.keys()].map((id) => ({ id: id, before: records.has(id) ? JSON.stringify(records.get(id)) : null, whole: true })));
    redone.length = 0;
    for (const [id, record] of imported) { records.set(id, record); save(id); }
    notify([...imported.keys()]);
  }

  /** Take a saved record, unless there is a later one; true if it was taken. */
  function restore(id, record) {
    const other = records.get(id);
    if (!record || (other && (other.changed || "") > (record.changed || ""))) return false;
    records.set(id, record);
    return true;
  }

  /** Begin as a reader: what the browser kept of this reader and this run comes back. */
  function start(name) {
    reader = name;
    records.clear();
    undone.length = redone.length = 0;
    C.storage.begin(prefix(), (id, text) => (C.films.byId.has(id) ? restore(id, parsed(text)) : null));
    const restored = [...records.values()].filter(isBegun).length;
    notify([]);
    return restored;
  }

  /** False for a film that was only seen in the list. */
  function isBegun(record) { return Boolean(record.finished || record.opened || Object.keys(record.findings).length); }

  /** unread, open (begun), or read. */
  function status(id) {
    const record = records.get(id);
    if (!record || !isBegun(record)) return "unread";
    return record.finished ? "read" : "open";
  }

  // another window of the same reader changed something
  window.addEventListener("storage", (event) => {
    if (!event.key || !C.storage.owns(event.key)) return;
    const id = C.storage.idOf(event.key);
    if (C.films.byId.has(id) && catchUp(id, event.newValue)) notify([id]);
  });

  C.state = {
    VERDICTS: VERDICTS, of: of, finding: finding, edit: edit, editFinding: editFinding, addTime: addTime, seen: seen, forget: forget, replace: replace,
    start: start, status: status, blank: blank, blankFinding: blankFinding, table: table, now: now,
    records: records, get reader() { return reader; },
    undo: () => step(undone, redone), redo: () => step(redone, undone),
    get canUndo() { return undone.length > 0; }, get canRedo() { return redone.length > 0; },
    listen: (listener) => listeners.push(listener),
  };
})(window.CAMRAY = window.CAMRAY || {});
