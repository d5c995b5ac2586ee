"""The review page in a real browser, from the disk: three films by keyboard and mouse, and what comes out as a file."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from camray.adapters.review.decisions import PAGE_FORMAT, read_decisions
from camray.domain.reader_decisions import Phase, Verdict
from camray.workflows.review.export_page import run_digest
from tests.browser.page_reader import Reader, large_page, reported_with_boxes
from tests.workflows.review.reviewed_run import LABELS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
SAME_BOXES = """
const done = arguments[arguments.length - 1], C = CAMRAY, off = [];
let compared = 0;
(async () => {
  for (const film of C.films.all) {
    const data = await C.films.load(film);
    C.run.labels.forEach((name, label) => {
      const found = C.regions.boxesAt(data, label, C.run.recipes[label].level);
      compared += data.boxes[label].length;
      const own = data.boxes[label];
      if (JSON.stringify(found) !== JSON.stringify(own)) off.push([film.id, name, found, own]);
    });
  }
  done([compared, off]);
})();
"""


def test_boxes_of_the_page_are_those_of_the_run(browser: Any, page: tuple[Path, Any]) -> None:
    reader = Reader(browser, page[0]).sit_down("A")
    compared, off = browser.execute_async_script(SAME_BOXES)
    assert compared > 100
    assert off == []
    # and they follow the slider: a lower threshold never loses ground
    areas = reader.js(
        "const C = CAMRAY, a = b => b.reduce((s, x) => s + (x[2] - x[0]) * (x[3] - x[1]), 0);"
        "return [0.3, 0.6, 0.9].map(level => a(C.regions.boxesAt(C.data, 0, level)))"
    )
    assert areas[0] > areas[2]


def test_three_films_by_keyboard_and_mouse(browser: Any, page: tuple[Path, Any], tmp_path: Path) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr A")
    assert "AI, not verified" in browser.find_element("id", "not-verified").text
    films = [(film, labels) for film, labels in reported_with_boxes(reader) if len(labels) > 1][:3]
    (first, labels_1), (second, labels_2), (third, labels_3) = films

    reader.open(first)  # by keys: confirm one, reject the other with a comment
    reader.choose(labels_1[0])
    reader.press("c")
    reader.choose(labels_1[1])
    reader.press("r", "m")
    reader.press("rib, no <b>mass</b>", "\ue00c")
    reader.judge_rest()

    reader.open(second)  # by mouse: move the AI's box, draw another
    reader.choose(labels_2[0])
    label = LABELS.index(labels_2[0])
    box = reader.js("return CAMRAY.marks.standing(arguments[0])[0]", label)
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    shift = -20 if centre[0] > 150 else 20
    reader.drag(centre, (centre[0] + shift, centre[1]))
    moved = reader.finding(second, labels_2[0])
    assert moved["verdict"] == "adjust"
    assert moved["boxes"][0][0] - box[0] == pytest.approx(shift, abs=2)
    assert moved["boxes"][0][2] - moved["boxes"][0][0] == pytest.approx(box[2] - box[0], abs=0.03)
    reader.press("d")
    reader.drag((30, 40), (90, 120))
    drawn = reader.finding(second, labels_2[0])["boxes"]
    assert len(drawn) == len(moved["boxes"]) + 1
    assert drawn[-1] == pytest.approx([30, 40, 90, 120], abs=2)
    reader.drag((drawn[-1][2], drawn[-1][3]), (110, 140))  # its lower right handle
    assert reader.finding(second, labels_2[0])["boxes"][-1] == pytest.approx([30, 40, 110, 140], abs=2.5)
    reader.press("\ue017")  # delete it
    assert len(reader.finding(second, labels_2[0])["boxes"]) == len(moved["boxes"])
    reader.press("b", "\ue014", "\ue012")  # choose a box, to the right and back
    reader.judge_rest()

    reader.open(third)  # uncertain, taken back by undo, then by the other key
    reader.choose(labels_3[0])
    reader.press("u")
    assert reader.finding(third, labels_3[0])["verdict"] == "uncertain"
    browser.find_element("id", "undo").click()
    assert reader.finding(third, labels_3[0])["verdict"] is None
    browser.find_element("id", "redo").click()
    quiet = next(
        name for i, name in enumerate(LABELS) if not reader.js("return CAMRAY.current.reported[arguments[0]]", i)
    )
    reader.choose(quiet)
    reader.press("n")  # the AI missed it: a box in the middle
    reader.judge_rest()

    found = read_decisions(reader.export(tmp_path / "down"), LABELS)
    assert found.problems == ()
    assert found.run_digest == run_digest(page[1])
    assert {(one.image_id, one.is_finished) for one in found.readings} == {
        (film, True) for film in (first, second, third)
    } | {(one.image_id, False) for one in found.readings if one.image_id not in {first, second, third}}
    assert all(one.seconds is not None and one.seconds > 0 for one in found.readings if one.is_finished)
    by = {(one.image_id, one.label): one for one in found.decisions}
    assert len([key for key in by if key[0] in {first, second, third}]) == 3 * len(LABELS)
    confirmed, rejected = by[first, labels_1[0]], by[first, labels_1[1]]
    own = dict(reader.js("return CAMRAY.films.all.map(f => [f.id, f.boxes])"))
    assert (confirmed.verdict, confirmed.value) == (Verdict.CONFIRM, "1")
    assert [list(each.as_tuple()) for each in confirmed.boxes] == own[first][LABELS.index(labels_1[0])]
    assert (rejected.verdict, rejected.value, rejected.boxes) == (Verdict.REJECT, "0", ())
    assert rejected.comment == "rib, no <b>mass</b>"
    adjusted = by[second, labels_2[0]]
    assert (adjusted.verdict, len(adjusted.boxes)) == (Verdict.ADJUST, len(moved["boxes"]))
    assert adjusted.boxes[0].as_tuple() == pytest.approx(moved["boxes"][0], abs=0.03)
    assert by[third, labels_3[0]].value == "uncertain"
    assert (by[third, quiet].value, len(by[third, quiet].boxes)) == ("1", 1)


def test_blind_first_hides_the_ai_and_keeps_what_was_marked(
    browser: Any, page: tuple[Path, Any], tmp_path: Path
) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr B", blind=True)
    film = reader.film
    text = browser.find_element("tag name", "body").text
    for word in ("reported", "cutoff", "Threshold", "≠", "Annotations"):
        assert word not in text, word
    assert reader.js("return document.querySelectorAll('#marks .box').length") == 0
    assert reader.js("return getComputedStyle(document.getElementById('heat')).visibility") == "hidden"
    reader.choose("Nodule")
    reader.press("a")
    reader.drag((40, 50), (120, 130))
    reader.choose("Hernia")
    reader.press("u", "\ue007")
    assert "cutoff" in browser.find_element("id", "findings").text
    reader.judge_rest()
    found = read_decisions(reader.export(tmp_path / "down"), LABELS)
    blind = {one.label: one for one in found.decisions if one.phase is Phase.BLIND and one.image_id == film}
    assert {label: one.value for label, one in blind.items()} == {
        label: {"Nodule": "1", "Hernia": "uncertain"}.get(label, "0") for label in LABELS
    }
    assert blind["Nodule"].boxes[0].as_tuple() == pytest.approx((40, 50, 120, 130), abs=2)
    (reading,) = [one for one in found.readings if one.image_id == film]
    assert 0 < (reading.blind_seconds or 0) <= (reading.seconds or 0)


def test_what_was_saved_comes_back_and_moves_to_another_browser(
    browser: Any, page: tuple[Path, Any], tmp_path: Path
) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr C")
    film, label = next((film, labels[0]) for film, labels in reported_with_boxes(reader) if labels)
    reader.open(film)
    reader.choose(label)
    reader.press("r", ".", ".")
    reader.sit_down("Dr C")  # the page is loaded anew
    assert reader.finding(film, label)["verdict"] == "reject"
    path = reader.export(tmp_path / "down")
    before = json.loads(path.read_text(encoding="utf-8"))["films"]
    reader.sit_down("Dr D")
    assert reader.finding(film, label)["verdict"] is None
    browser.find_element("id", "import-file").send_keys(str(path))
    reader.wait(lambda: reader.js("return document.getElementById('message-dialog').open"), "no answer")
    assert "another reader (Dr C)" in browser.find_element("id", "message-text").text
    browser.find_element("css selector", "#message-dialog button").click()
    after = reader.js("return CAMRAY.exchange.decisions().films")
    assert [one["findings"] for one in after if one["image_id"] == film] == [
        one["findings"] for one in before if one["image_id"] == film
    ]


def _take(reader: Reader, films: list[Any], by: str | None) -> str:
    """Import a file of one reader with these films; return what the page says of it."""
    run = {"digest": reader.js("return CAMRAY.run.digest")}
    content = {"format": PAGE_FORMAT, "run": run, "reader": by, "films": films}
    return _take_text(reader, json.dumps(content))


def _take_text(reader: Reader, text: str) -> str:
    reader.js("CAMRAY.exchange.take(arguments[0])", text)
    said = str(reader.js("return document.getElementById('message-text').textContent"))
    reader.js("document.getElementById('message-dialog').close()")
    return said


def test_an_import_loses_no_answer_and_tells_what_it_leaves_out(browser: Any, page: tuple[Path, Any]) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr K")
    films = reader.js("return CAMRAY.films.all.map(f => f.id)")
    reader.js("CAMRAY.state.editFinding(arguments[0], 'Mass', f => { f.verdict = 'uncertain' })", films[0])
    looked_at = {"image_id": films[0], "finished": False, "changed": None, "seconds": 3, "findings": {}}
    odd = {
        "image_id": films[1],
        "changed": "2026-01-01T00:00:00.000Z",
        "finished": False,
        "findings": {
            "Mass": {"verdict": "adjust", "boxes": [[1, 1, 9, 9], [5, 5, 2, 2]]},
            "Nodule": {"verdict": "perhaps"},
            "No such finding": {"verdict": "confirm"},
        },
    }
    said = _take(reader, [looked_at, odd, {"image_id": "elsewhere", "findings": {}}, None], by="Dr K")
    assert "1 film imported. 1 film kept as before" in said
    assert "Ignored: 2 films not in this run." in said
    assert "Ignored: 1 answer to findings that this run does not have." in said
    assert "1 box and 1 answer." in said
    assert reader.finding(films[0], "Mass")["verdict"] == "uncertain"
    assert reader.finding(films[1], "Mass")["boxes"] == [[1, 1, 9, 9]]
    for text in ("", '{"format": "camray-re', "[]", '{"format": "camray-review/1", "films": {}}'):
        assert _take_text(reader, text).startswith("This is no")
    damaged = [
        {"image_id": films[2], "findings": [1], "blind": 7},
        {"image_id": films[2], "findings": {"Mass": {"boxes": "no"}}},
    ]
    assert "imported" in _take(reader, damaged, by=None)


def test_two_windows_of_one_reader_keep_both_answers(browser: Any, page: tuple[Path, Any]) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr L")
    film = reader.film
    first = browser.current_window_handle
    browser.switch_to.new_window("window")
    reader.sit_down("Dr L").open(film)
    reader.js("CAMRAY.state.addTime(arguments[0], 1, false)", film)
    browser.switch_to.window(first)
    reader.js("CAMRAY.state.editFinding(arguments[0], 'Mass', f => { f.verdict = 'uncertain' })", film)
    browser.switch_to.window(browser.window_handles[1])
    reader.js("CAMRAY.state.addTime(arguments[0], 1, false)", film)
    reader.js("CAMRAY.state.editFinding(arguments[0], 'Nodule', f => { f.verdict = 'uncertain' })", film)
    assert reader.finding(film, "Mass")["verdict"] == "uncertain"
    browser.close()
    browser.switch_to.window(first)
    reader.wait(lambda: reader.finding(film, "Nodule")["verdict"] == "uncertain", "the other window's answer is lost")
    assert not reader.js("return CAMRAY.state.canUndo")  # its step would take the other's answer along


def test_what_the_ai_has_shown_is_never_blind_again(browser: Any, page: tuple[Path, Any], tmp_path: Path) -> None:
    reader = Reader(browser, page[0])
    browser.get(page[0].as_uri())
    assert "≠" not in browser.find_element("id", "rows").text  # nothing leaks behind the first dialog
    reader.sit_down("Dr M", blind=True)
    film = reader.film
    reader.choose("Nodule")
    reader.press("a", "\ue00c")
    reader.js("CAMRAY.state.addTime(arguments[0], 30, true)", film)
    kept = json.loads(json.dumps(reader.js("return CAMRAY.exchange.decisions().films[0].findings.Nodule")))
    assert kept["value"] == "1"  # an export in the middle keeps it
    reader.press("v")
    assert not browser.find_element("id", "undo").is_enabled()
    assert reader.js("return CAMRAY.state.of(arguments[0]).blind.Nodule.value", film) == "1"
    assert reader.js("return CAMRAY.state.of(arguments[0]).blind_seconds", film) >= 30
    reader.press("j")
    reader.wait(lambda: reader.film != film and reader.js("return CAMRAY.data !== null"), "the next film did not open")
    browser.find_element("id", "blind").click()  # a look at the AI, and blind again
    browser.find_element("id", "blind").click()
    assert not reader.js("return CAMRAY.hidesAi(CAMRAY.current)")
    reader.sit_down("Dr M")  # after a reload the box is still ticked
    assert reader.js("return CAMRAY.isBlind()")


def test_a_comment_survives_redo_and_goes_by_undo(browser: Any, page: tuple[Path, Any]) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr N")
    reader.choose("Mass")
    reader.press("u")
    browser.find_element("id", "undo").click()
    reader.press("m")
    reader.press("rib 갈비뼈 <script>\"'", "\ue00c")
    assert not browser.find_element("id", "redo").is_enabled()
    assert reader.finding(reader.film, "Mass")["comment"].startswith("rib 갈비뼈 <script>")
    browser.find_element("id", "undo").click()
    assert reader.finding(reader.film, "Mass")["comment"] == ""
    browser.find_element("id", "redo").click()
    assert reader.finding(reader.film, "Mass")["comment"].endswith("\"'")


def test_a_verdict_taken_back_opens_the_film_again(browser: Any, page: tuple[Path, Any]) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr O")
    film, label = next((film, labels[0]) for film, labels in reported_with_boxes(reader) if labels)
    reader.open(film)
    reader.judge_rest()
    reader.open(film)
    reader.choose(label)
    reader.press("c")
    assert reader.finding(film, label)["verdict"] is None
    assert reader.js("return CAMRAY.state.status(arguments[0])", film) == "open"


def test_a_finding_that_waits_holds_the_film_back(browser: Any, page: tuple[Path, Any]) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr E")
    film, label = next((film, labels[0]) for film, labels in reported_with_boxes(reader) if labels)
    reader.open(film)
    reader.press("\ue007")
    assert reader.film == film
    assert "Still to judge" in browser.find_element("id", "say").text
    number = LABELS.index(label)
    reader.choose(label)
    reader.press(",", "c")  # confirmed at another threshold: these boxes, not the run's
    found = reader.finding(film, label)
    if reader.js("return CAMRAY.marks.isMoved(arguments[0])", number):
        assert found["verdict"] == "adjust"
        assert found["level"] is not None


def test_filters_and_sorting(browser: Any, page: tuple[Path, Any]) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr F")
    browser.find_element("id", "annotations").click()
    reader.js(
        "for (const [id, value] of [['filter-finding', '2'], ['sort', 'probability']]) {"
        "  document.getElementById(id).value = value;"
        "  document.getElementById(id).dispatchEvent(new Event('change')); }"
    )
    probabilities = reader.js("return CAMRAY.worklist.shown.map(f => f.probabilities[2])")
    assert probabilities == sorted(probabilities, reverse=True)
    reader.js(
        "const s = document.getElementById('filter-state'); s.value = 'disagree'; s.dispatchEvent(new Event('change'))"
    )
    differing = reader.js("return CAMRAY.worklist.shown.map(f => f.disagreement[2])")
    assert differing
    assert min(differing) > 0
    total = reader.js("return CAMRAY.films.all.filter(f => f.disagreement[2] > 0).length")
    assert len(differing) == total


ODD = ("constructor", "__proto__", "<script>\"'</script>", "폐 결절", "toString", "Mass")


def test_findings_may_have_any_name(browser: Any, tmp_path: Path) -> None:
    index = large_page(tmp_path / "odd", 2, ODD)
    reader = Reader(browser, index).sit_down("Dr Q", blind=True)
    film = reader.film
    for number in range(len(ODD)):
        reader.press(str(number + 1), "n")
    reader.press("v")
    for number in range(len(ODD)):
        reader.press(str(number + 1), "m", "rib", "\ue00c", "u")
    reader.sit_down("Dr Q")  # loaded anew
    reader.press("7")  # no such finding
    assert browser.find_element("id", "list-count").text == "2 of 2 films"
    assert browser.find_element("id", "say").text == "Welcome back: your answers to 1 film are restored."
    for name in ODD:
        assert (reader.finding(film, name)["verdict"], reader.finding(film, name)["comment"]) == ("uncertain", "rib")
    browser.find_element("id", "undo").click()
    found = read_decisions(reader.export(tmp_path / "down"), ODD)
    assert found.problems == ()
    answers = {(one.label, one.phase): one.value for one in found.decisions}
    assert answers == {(name, phase): {Phase.BLIND: "1"}.get(phase, "uncertain") for name in ODD for phase in Phase}
    exported = next((tmp_path / "down").glob("decisions-*.json")).read_text(encoding="utf-8")
    reader.sit_down("Dr R")
    assert _take_text(reader, exported).startswith("1 film imported. The file is by another reader (Dr Q)")
    assert [reader.finding(film, name)["comment"] for name in ODD] == ["rib"] * len(ODD)


def test_words_of_boxes_are_apart_and_in_sight(browser: Any, tmp_path: Path) -> None:
    reader = Reader(browser, large_page(tmp_path / "words", 1)).sit_down("Dr S")  # 14 findings, all at one place
    crossing = reader.js(
        "const port = document.getElementById('viewport').getBoundingClientRect();"
        "const at = [...document.querySelectorAll('#marks text')].map((t) => t.getBoundingClientRect());"
        "const apart = (a, b) => a.right <= b.left || b.right <= a.left || Math.abs(a.top - b.top) > 13;"
        "return [at.length, at.flatMap((a, i) => at.slice(i + 1).filter((b) => !apart(a, b))).length,"
        "  at.filter((a) => a.left < port.left || a.right > port.right).length]"
    )
    assert crossing[0] > 3
    assert crossing[1:] == [0, 0]


def test_every_control_has_a_name(browser: Any, page: tuple[Path, Any]) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr G")
    nameless = reader.js(
        "const named = (e) => e.textContent.trim() || e.getAttribute('aria-label') || e.closest('label');"
        "return [...document.querySelectorAll('button, input:not([hidden]), select, textarea')]"
        "  .filter((e) => !named(e)).map((e) => e.outerHTML);"
    )
    assert nameless == []
    browser.find_element("id", "help").click()
    keys = browser.find_element("id", "help-keys").text
    assert "Confirm" in keys
    assert "Undo, redo" in keys


def test_a_thousand_films_are_quick(browser: Any, tmp_path: Path) -> None:
    index = large_page(tmp_path / "large", 1000)
    reader = Reader(browser, index)
    started = time.monotonic()
    reader.sit_down("Dr H")
    opened = time.monotonic() - started
    drawn, filtered, stepped = reader.js(
        "const C = CAMRAY, rows = document.querySelectorAll('.row').length; let t = performance.now();"
        "document.getElementById('sort').value = 'probability'; C.worklist.refresh(); const f = performance.now() - t;"
        "t = performance.now(); C.open(C.worklist.shown[700]); return [rows, f, performance.now() - t]"
    )
    reader.wait(lambda: reader.js("return CAMRAY.data !== null"), "no film opened")
    assert drawn < 60
    assert filtered < 500
    assert stepped < 500
    assert opened < 30
    loaded = reader.js("return performance.getEntriesByType('resource').filter(e => e.name.includes('/films/')).length")
    assert loaded < 8


def test_damaged_and_missing_data_are_told(browser: Any, tmp_path: Path) -> None:
    index = large_page(tmp_path / "small", 3)
    damaged = index.parent / "data" / "1.2.3.1.js"
    damaged.write_bytes(damaged.read_bytes().replace(b"CAMRAY.receive", b"void"))
    reader = Reader(browser, index).sit_down("Dr P")
    reader.js("CAMRAY.open(CAMRAY.films.all[1])")
    note = browser.find_element("id", "film-note")
    reader.wait(lambda: "its data file is damaged" in note.text, "it loads for ever")
    picture = next((index.parent / "films").glob("1.2.3.2.*"))
    kept = picture.read_bytes()
    picture.write_bytes(b"no picture")
    reader.open("1.2.3.2")
    reader.wait(lambda: "picture of this film is not" in note.text, "nobody tells that the picture is missing")
    seen = "return getComputedStyle(document.getElementById('film')).visibility"
    assert reader.js(seen) == "hidden"
    picture.write_bytes(kept)
    reader.open("1.2.3.0")
    reader.wait(lambda: reader.js(seen) == "visible", "the next film stays hidden")
