/* The page as a whole: reader, open film, what is hidden while reading blind, reading time. */
(function (C) {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const IDLE_MS = 60000, TICK_MS = 1000;
  C.current = null; // the film of the worklist that is open
  C.data = null; // its data, once they are there
  C.label = 0;
  C.levels = {};
  let blind = true, lastInput = Date.now(), lastTick = Date.now(), lastTicket = 0;

  C.isBlind = () => blind;
  /** While this is so, nothing of the AI nor of annotations may be seen. */
  C.hidesAi = (film) => { const record = C.state.of(film.id); return blind && !record.revealed && !record.finished; };
  /** Whether annotations, and all that depends on them, may be seen on films that do not hide the AI. */
  C.showsAnnotations = () => C.run.has_annotations && $("annotations").checked;
  /** What the reader has seen of a film by now: the AI's result, its annotations. */
  C.shown = (film) => {
    const hidden = C.hidesAi(film);
    return { ai: !hidden, annotations: (!hidden && C.showsAnnotations()) || C.state.of(film.id).annotations_seen };
  };
  C.say = (text) => { $("say").textContent = text; };
  C.message = (title, text) => {
    $("message-title").textContent = title;
    $("message-text").textContent = text;
    $("message-dialog").showModal();
  };
  /** "1 film", "2 films". */
  C.count = (number, word) => number + " " + word + (number === 1 ? "" : "s");
  C.shortId = (id) => (id.length > 24 ? "…" + id.slice(-18) : id);
  C.openList = () => { document.body.classList.add("list-open"); $("list-toggle").setAttribute("aria-expanded", "true"); C.worklist.draw(); };
  C.closeList = () => { document.body.classList.remove("list-open"); $("list-toggle").setAttribute("aria-expanded", "false"); };

  /** The finding to look at first: the most probable one that is reported, else the first. */
  function firstLabel(film) {
    if (C.hidesAi(film)) return 0;
    const open = C.findings.missing(film), reported = C.run.labels.map((_, i) => i).filter((i) => film.reported[i]);
    const from = open.length ? open : reported.length ? reported : C.run.labels.map((_, i) => i);
    return from.reduce((best, i) => (C.ranks(film)[i] > C.ranks(film)[best] ? i : best), from[0]);
  }

  /** Open a film. */
  C.open = function (film) {
    if (!film) return;
    const ticket = ++lastTicket;
    tick();
    C.current = film;
    C.data = null;
    C.selected = -1;
    C.preview = null;
    C.levels = {};
    C.pointer.choose("select");
    $("film-id").textContent = C.shortId(film.id);
    $("film-id").title = film.id;
    $("film-facts").textContent = "";
    $("findings").replaceChildren();
    C.viewer.clear("Loading …");
    C.worklist.reveal(film);
    C.films.load(film).then((data) => {
      if (ticket !== lastTicket) return;
      C.data = data;
      C.label = firstLabel(film);
      const record = C.state.of(film.id);
      C.run.labels.forEach((name, label) => {
        const level = record.findings[name] && record.findings[name].level;
        if (typeof level === "number") C.levels[label] = level;
      });
      $("film-note").textContent = film.note;
      $("film-facts").textContent = film.facts;
      C.viewer.show();
      update();
      C.films.preload(C.worklist.beside(film, 1));
    }, (error) => { if (ticket === lastTicket) C.viewer.clear("This film cannot be shown: " + error.message); });
  };

  /** Update everything that depends on decisions or on what is hidden. */
  function update() {
    if (!C.current || !C.data) return;
    const hidden = C.hidesAi(C.current);
    if (!hidden) C.inSight(C.current, true);
    $("annotations-label").hidden = !C.run.has_annotations || hidden;
    $("opacity").disabled = hidden;
    $("legend").replaceChildren(...[["ai", "AI"], ["mine", C.state.reader], ["annotated", "annotated"]]
      .filter(([kind]) => (kind === "mine" || !hidden) && (kind !== "annotated" || C.showsAnnotations()))
      .map(([kind, text]) => { const entry = document.createElement("span"); entry.className = "key " + kind; entry.textContent = text; return entry; }));
    $("watermark").hidden = hidden;
    C.viewer.drawHeat();
    C.marks.draw();
    C.findings.render();
  }

  C.chooseLabel = function (label) {
    if (label < 0 || label >= C.run.labels.length || !C.data) return;
    C.label = label;
    C.selected = -1;
    update();
    const open = document.querySelector(".finding.open");
    if (open) open.scrollIntoView({ block: "nearest" });
    C.say(C.run.labels[label]);
  };

  C.step = (by) => { if (C.current) C.open(C.worklist.beside(C.current, by)); };

  /** The AI is visible, in the list or with the film open, without a request to show it: marks made blind are kept as blind answers. */
  C.inSight = function (film, isOpen) {
    const { revealed, finished, findings } = C.state.of(film.id), annotations = C.showsAnnotations();
    if (!revealed && !finished && Object.keys(findings).some((name) => findings[name].value)) keepBlind(film);
    const record = C.state.of(film.id);
    if (!record.revealed || (isOpen && !record.opened) || (annotations && !record.annotations_seen)) C.state.seen(film.id, isOpen, annotations);
  };

  /** Blind first: keep the marks, then show the AI. */
  C.reveal = function () {
    if (!C.current || !C.data || !C.hidesAi(C.current)) return;
    const film = C.current;
    tick();
    keepBlind(film);
    C.label = firstLabel(film);
    C.pointer.choose("select");
    update();
    C.worklist.refresh();
    C.say("The AI is shown.");
  };

  /** Store the blind answers. Undo stops here: once the AI is shown, no answer is blind. */
  function keepBlind(film) {
    C.state.edit(film.id, (record) => {
      record.blind = C.state.table();
      C.run.labels.forEach((name, label) => {
        const finding = record.findings[name], boxes = (finding && finding.boxes) || [];
        const value = (finding && finding.value) || (boxes.length ? "1" : "0");
        const shown = finding && finding.value ? finding.shown : { ai: false, annotations: false };
        record.blind[name] = { value: value, boxes: boxes, shown: shown };
        if (finding && !boxes.length) finding.boxes = null;
        if (finding && !film.reported[label] && value !== "0") finding.verdict = value === "1" ? "adjust" : "uncertain";
        if (finding && finding.verdict === "adjust" && !finding.boxes) finding.boxes = [];
      });
      record.revealed = true;
    });
    C.state.forget(film.id);
  }

  /** Finish the film, unless a reported finding still waits for its verdict. */
  C.finish = function () {
    if (!C.current || !C.data) return;
    if (C.hidesAi(C.current)) return C.reveal();
    const film = C.current, open = C.findings.missing(film);
    if (open.length) {
      C.chooseLabel(open[0]);
      return C.say("Still to judge: " + open.map((label) => C.run.labels[label]).join(", ") + ".");
    }
    tick();
    if (!C.state.of(film.id).finished) C.state.edit(film.id, (record) => { Object.assign(record, { finished: true, finish_shown: C.shown(film), revealed: true }); });
    const next = C.worklist.nextUnread(film);
    C.worklist.refresh();
    if (next) C.open(next);
    else C.say("Every film in the list is read. Export your decisions.");
  };

  C.undo = function (again) {
    const id = again ? C.state.redo() : C.state.undo();
    if (!id) return C.say(again ? "Nothing to redo." : "Nothing to undo.");
    C.selected = -1;
    if (!C.current || id !== C.current.id) C.open(C.films.byId.get(id));
    C.worklist.refresh();
    C.say(again ? "Redone." : "Undone.");
  };

  /** Add the time since the last tick, unless the reader was idle. */
  function tick() {
    const now = Date.now(), passed = Math.min(now - lastTick, 2 * TICK_MS);
    lastTick = now;
    if (!C.current || !C.data || document.hidden || now - lastInput > IDLE_MS || document.querySelector("dialog[open]")) return;
    if (C.state.of(C.current.id).finished) return; // looking back is not reading
    C.state.addTime(C.current.id, passed / 1000, C.hidesAi(C.current));
  }

  function setBlind(on) {
    blind = on;
    $("blind").checked = on;
    C.storage.last("blind", on ? "1" : "");
    C.worklist.offer();
    C.worklist.refresh();
    if (C.current) { if (C.data) C.label = Math.max(0, C.label); update(); }
  }

  function askReader() {
    $("reader-name").value = C.storage.last("reader");
    $("reader-blind").checked = C.storage.last("blind") === "1";
    $("reader-dialog").showModal();
  }

  function begin() {
    const name = $("reader-name").value.trim();
    if (!name) return askReader();
    C.storage.last("reader", name);
    const kept = C.state.start(name);
    $("reader-shown").textContent = "Reader: " + name;
    setBlind($("reader-blind").checked);
    const first = C.worklist.shown.find((film) => C.state.status(film.id) !== "read") || C.worklist.shown[0];
    C.open(first);
    $("viewport").focus({ preventScroll: true });
    C.say(kept ? "Welcome back: your answers to " + C.count(kept, "film") + " are restored." : "Keys: press ?");
  }

  function start() {
    C.viewer.start();
    C.pointer.start();
    C.keys.start();
    C.worklist.start();
    C.state.listen((ids) => { if (C.current && (!ids.length || ids.includes(C.current.id))) update(); });
    $("help").onclick = C.keys.help;
    $("export").onclick = $("unsaved-download").onclick = C.exchange.save;
    $("import").onclick = () => $("import-file").click();
    $("import-file").onchange = () => {
      const file = $("import-file").files[0];
      if (!file) return;
      file.text().then(C.exchange.take).finally(() => { $("import-file").value = ""; C.worklist.refresh(); });
    };
    $("undo").onclick = () => C.undo(false);
    $("redo").onclick = () => C.undo(true);
    $("blind").onchange = () => setBlind($("blind").checked);
    $("annotations").onchange = () => { C.worklist.offer(); C.worklist.refresh(); update(); };
    $("reveal").onclick = C.reveal;
    $("finish").onclick = C.finish;
    $("next").onclick = () => C.step(1);
    $("previous").onclick = () => C.step(-1);
    $("list-toggle").onclick = () => (document.body.classList.contains("list-open") ? C.closeList() : C.openList());
    $("reader-dialog").addEventListener("close", begin);
    for (const name of ["pointerdown", "pointermove", "keydown", "wheel"]) document.addEventListener(name, () => { lastInput = Date.now(); }, { passive: true, capture: true });
    // after a click by mouse or finger the keys are the viewer's again: Enter must not press the same button twice
    document.addEventListener("click", (event) => {
      if (event.detail > 0 && event.target.closest("button") && !document.querySelector("dialog[open]")) $("viewport").focus({ preventScroll: true });
    });
    setInterval(tick, TICK_MS);
    window.addEventListener("pagehide", tick);
    askReader();
  }

  start();
})(window.CAMRAY = window.CAMRAY || {});
