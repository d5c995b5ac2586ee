/* The panel of findings; the selected one is unfolded with verdict, threshold, boxes and comment. */
(function (C) {
  "use strict";
  const $ = (id) => document.getElementById(id);

  function make(name, attributes, ...children) {
    const element = document.createElement(name);
    for (const key of Object.keys(attributes || {})) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), attributes[key]);
      else if (attributes[key] !== null) element.setAttribute(key, attributes[key]);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const name = (label) => C.run.labels[label];
  const of = (label) => C.state.finding(C.current.id, name(label));

  /** The possible answers: key, verdict, word, meaning. */
  function answers(label) {
    if (C.hidesAi(C.current)) return [["A", "1", "Present", ""], ["R", "0", "Absent", ""], ["U", "uncertain", "Uncertain", ""]];
    if (C.current.reported[label]) {
      return [["C", "confirm", "Confirm", "present, boxes correct"], ["A", "adjust", "Adjust", "present, my boxes"], ["R", "reject", "Reject", "absent"], ["U", "uncertain", "Uncertain", ""]];
    }
    return [["C", "confirm", "Confirm", "absent"], ["A", "adjust", "Add", C.current.not_judged[label] ? "present" : "present, AI missed it"], ["U", "uncertain", "Uncertain", ""]];
  }

  /** Give the selected finding a verdict; the same verdict a second time removes it. */
  function judge(verdict) {
    const label = C.label, blind = C.hidesAi(C.current), finding = of(label);
    if (blind) return judgeBlind({ adjust: "1", reject: "0", uncertain: "uncertain" }[verdict] || verdict);
    if (!answers(label).some((entry) => entry[1] === verdict)) return C.say(name(label) + " is not reported: confirm its absence (C) or add it (A).");
    if (finding.verdict === verdict && verdict !== "adjust") {
      C.state.editFinding(C.current.id, name(label), (entry, record) => {
        entry.verdict = null;
        if (C.current.reported[label]) record.finished = false; // it waits for its verdict again
      });
      return C.say(name(label) + ": verdict removed.");
    }
    if (verdict === "confirm" && C.current.reported[label] && C.marks.isMoved(label)) {
      C.marks.keep(label, C.marks.aiBoxes(label));
      return C.say(name(label) + ": recorded as adjusted: the boxes are those at this threshold, not the run's own.");
    }
    const base = C.current.reported[label] ? C.marks.aiBoxes(label) : [];
    C.state.editFinding(C.current.id, name(label), (entry) => {
      entry.verdict = verdict;
      if (verdict === "adjust") { entry.boxes = entry.boxes || base.map(C.marks.clamp); entry.level = C.marks.isMoved(label) ? C.levels[label] : null; }
      else { entry.boxes = null; entry.level = null; }
    });
    if (verdict === "adjust" && !of(label).boxes.length) C.pointer.choose("draw");
    C.say(name(label) + ": " + verdict + ".");
  }

  function judgeBlind(value) {
    if (value === "confirm") return C.say("Mark what you see first: present (A), absent (R), uncertain (U); then show the AI (V).");
    const same = of(C.label).value === value;
    C.state.editFinding(C.current.id, name(C.label), (entry) => {
      entry.value = same ? null : value;
      if (entry.value !== "1") entry.boxes = null;
    });
    if (!same && value === "1" && !of(C.label).boxes) C.pointer.choose("draw");
    C.say(name(C.label) + ": " + (same ? "answer removed" : { 1: "present, draw its box", 0: "absent", uncertain: "uncertain" }[value]) + ".");
  }

  /** The decision so far in a word. */
  function chip(label) {
    const finding = of(label), blind = C.hidesAi(C.current);
    if (blind) return finding.value ? { 1: "present", 0: "absent", uncertain: "uncertain" }[finding.value] : "";
    if (finding.verdict) return { confirm: "confirmed", adjust: C.current.reported[label] ? "adjusted" : "added", reject: "rejected", uncertain: "uncertain" }[finding.verdict];
    return C.current.reported[label] ? "to judge" : "";
  }

  function head(label) {
    const chosen = label === C.label, blind = C.hidesAi(C.current), word = chip(label);
    const probability = C.current.probabilities[label];
    return make("button", {
      type: "button", class: "finding-head", "aria-expanded": String(chosen), "data-key": "head-" + label, onclick: () => C.chooseLabel(label),
    },
      make("kbd", {}, label < 9 ? String(label + 1) : "·"),
      make("span", { class: "finding-what" },
        make("span", { class: "finding-name", title: name(label) }, name(label)),
        blind || probability === null ? null : make("span", { class: "bar", "aria-hidden": "true" }, make("span", { style: "width:" + Math.round(probability * 100) + "%", class: C.current.reported[label] ? "over" : "" }))),
      make("span", { class: "probability" }, blind ? "" : C.certainty(C.current, label)),
      make("span", { class: "chip " + (word ? word.replace(" ", "-") : "none") }, word),
    );
  }

  function verdicts(label) {
    const finding = of(label), blind = C.hidesAi(C.current), given = blind ? finding.value : finding.verdict;
    return make("div", { class: "verdicts", role: "group", "aria-label": "Verdict on " + name(label) }, ...answers(label).map(([key, value, word, meaning]) =>
      make("button", {
        type: "button", "aria-pressed": String(given === value), "data-key": "verdict-" + value, class: "verdict " + value,
        onclick: () => (blind ? judgeBlind(value) : judge(value)),
      }, make("span", {}, word, " ", make("kbd", {}, key)), meaning ? make("small", {}, meaning) : null)));
  }

  function threshold(label) {
    const range = C.regions.levelRange(C.data, label);
    if (!range) return make("p", { class: "facts" }, "No threshold, so no boxes for this finding.");
    const level = C.levels[label] === undefined ? range.own : C.levels[label], output = make("output", {}, levelText(level, range));
    const slider = make("input", {
      type: "range", min: Math.min(range.min, range.own), max: Math.max(range.max, range.own), step: "any", "data-key": "threshold", "aria-label": "Threshold of " + name(label),
      oninput: () => {
        setLevel(label, Number(slider.value));
        output.textContent = levelText(C.levels[label], range);
        reset.disabled = !C.marks.isMoved(label);
        slider.setAttribute("aria-valuetext", output.textContent);
      },
    });
    slider.value = level;
    const reset = make("button", { type: "button", "data-key": "own", onclick: () => { setLevel(label, range.own); render(); } }, "Run's own");
    reset.disabled = !C.marks.isMoved(label);
    return make("div", { class: "threshold" },
      make("label", {}, "Threshold ", output, slider),
      make("div", { class: "buttons" }, reset, make("button", { type: "button", "data-key": "adopt", onclick: C.marks.adopt }, "Use these boxes ", make("kbd", {}, "T"))),
      make("p", { class: "facts" }, C.run.recipes[label].description));
  }

  function levelText(level, range) {
    return level.toPrecision(3) + (level === range.own ? " (the run's own)" : " (own " + range.own.toPrecision(3) + ")");
  }

  /** Move the threshold; it snaps to the run's own when it comes near. */
  function setLevel(label, level) {
    const range = C.regions.levelRange(C.data, label);
    level = Math.min(Math.max(level, Math.min(range.min, range.own)), Math.max(range.max, range.own));
    C.levels[label] = Math.abs(level - range.own) < range.step * 0.6 ? range.own : level;
    C.selected = -1;
    C.marks.draw();
  }

  function stepLevel(direction) {
    const range = C.hidesAi(C.current) ? null : C.regions.levelRange(C.data, C.label);
    if (!range) return;
    const level = C.levels[C.label] === undefined ? range.own : C.levels[C.label];
    const step = C.run.recipes[C.label].reference === "raw" ? range.step * 4 : 0.02;
    setLevel(C.label, Math.min(Math.max(level + direction * step, range.min), range.max));
    render();
  }

  function boxes(label) {
    const listed = C.marks.standing(label);
    return make("div", { class: "boxes" },
      make("ul", {}, ...listed.map((box, i) => make("li", {},
        make("button", { type: "button", "data-key": "box-" + i, "aria-pressed": String(C.selected === i), onclick: () => { C.selected = i; C.marks.draw(); render(); } },
          "Box " + (i + 1) + ": " + Math.round(box[2] - box[0]) + " × " + Math.round(box[3] - box[1]) + " px at " + Math.round(box[0]) + ", " + Math.round(box[1])),
        make("button", { type: "button", class: "remove", "data-key": "remove-" + i, "aria-label": "Remove box " + (i + 1), onclick: () => C.marks.remove(i) }, "×")))),
      make("button", { type: "button", "data-key": "add", onclick: C.marks.addInMiddle }, "Add box ", make("kbd", {}, "N")));
  }

  function comment(label) {
    const area = make("textarea", { rows: "2", maxlength: "2000", "data-key": "comment", id: "comment", placeholder: "Comment (M)", "aria-label": "Comment on " + name(label) });
    area.value = of(label).comment;
    const write = (quiet) => C.state.editFinding(C.current.id, name(label), (entry) => { entry.comment = area.value; }, quiet);
    let begun = false; // all that is typed before the field is left is one step for undo
    area.addEventListener("input", () => { quietly = true; write(begun); quietly = false; begun = true; });
    return area;
  }
  let quietly = false; // typing must not redraw the field that is typed in

  function body(label) {
    const blind = C.hidesAi(C.current), record = C.state.of(C.current.id), blindAnswer = record.blind && record.blind[name(label)];
    const unjudged = C.current.not_judged[label];
    const none = C.run.no_probability[label] ? "; no probability: " + C.run.no_probability[label] : " (cutoff " + C.run.cutoffs[label].toFixed(2) + ")";
    const facts = blind ? "" : unjudged ? "AI: not judged: " + unjudged : "AI: " + (C.current.reported[label] ? "reported" : "not reported") + none;
    const before = blindAnswer ? " · your blind answer: " + { 1: "present", 0: "absent", uncertain: "uncertain" }[blindAnswer.value] : "";
    return make("div", { class: "finding-body" }, blind ? null : make("p", { class: "facts" }, facts + before), verdicts(label), blind ? null : threshold(label), boxes(label), comment(label));
  }

  /** Draw the panel anew, keeping the focus where it is. */
  function render() {
    $("undo").disabled = !C.state.canUndo;
    $("redo").disabled = !C.state.canRedo;
    if (!C.current || !C.data || quietly) return;
    const active = document.activeElement, key = active && active.closest("#findings") ? active.dataset.key : null;
    $("findings").replaceChildren(...C.run.labels.map((_, label) =>
      make("section", { class: "finding" + (label === C.label ? " open" : ""), "aria-label": name(label) }, head(label), label === C.label ? body(label) : null)));
    if (key) {
      const again = $("findings").querySelector('[data-key="' + key + '"]');
      if (again) again.focus({ preventScroll: true });
    }
    const blind = C.hidesAi(C.current), record = C.state.of(C.current.id);
    $("reveal").hidden = !blind;
    $("finish").hidden = blind;
    $("finish").firstChild.textContent = record.finished ? "Next to read " : "Finish and next ";
    $("rule").textContent = blind
      ? "Mark what you see. Findings without an answer count as absent once the AI is shown."
      : "Judge every finding that the AI reports. Other findings without an answer count as absent when you finish.";
  }

  /** Labels that still need a verdict. */
  function missing(film) {
    return C.run.labels.map((_, label) => label).filter((label) => film.reported[label] && !C.state.finding(film.id, name(label)).verdict);
  }

  C.findings = { render: render, judge: judge, stepLevel: stepLevel, missing: missing };
})(window.CAMRAY = window.CAMRAY || {});
