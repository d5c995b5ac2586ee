"""What the review page hides: annotations while they are off, the AI's results while a film is read blind."""

import json
from pathlib import Path
from typing import Any

import pytest

from camray.adapters.review.decisions import read_decisions
from camray.domain.reader_decisions import Phase, Shown
from tests.browser.page_reader import Reader
from tests.workflows.review.reviewed_run import LABELS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
FILTERS = (
    "return ['filter-state', 'sort'].flatMap((id) => [...document.getElementById(id).options].map((o) => o.value))"
)
# all that a reader can see, hear or hover over
PERCEPTIBLE = """
const said = [document.body.innerText];
for (const element of document.querySelectorAll('*')) {
  for (const name of ['title', 'aria-label', 'aria-valuetext', 'alt', 'placeholder'])
    said.push(element.getAttribute(name) || '');
}
return said.join('\\n') + document.getElementById('marks').textContent;
"""
OF_ANNOTATIONS = {"disagree", "annotated", "disagreement"}
OF_THE_AI = {"reported", "silent", "probability", "unsure"}


def test_annotations_that_are_off_show_nowhere(browser: Any, page: tuple[Path, Any]) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr A")
    assert reader.js("return CAMRAY.worklist.shown.some((film) => Math.max(...film.disagreement) > 0)")

    def is_hidden() -> bool:
        text = reader.js(PERCEPTIBLE)
        return not any(word in text for word in ("≠", "differ", ", annotated", "Annotated")) and not (
            OF_ANNOTATIONS & set(reader.js(FILTERS))
        )

    assert is_hidden()
    listed = reader.js("return CAMRAY.worklist.shown.map((film) => film.id)")
    reader.press("g")  # on: the list says where the two differ, and can be ordered by it
    assert not is_hidden()
    assert "≠" in browser.find_element("id", "rows").text
    assert set(reader.js(FILTERS)) >= OF_ANNOTATIONS
    reader.js(
        "for (const [id, value] of [['filter-state', 'disagree'], ['sort', 'disagreement']]) {"
        "  document.getElementById(id).value = value;"
        "  document.getElementById(id).dispatchEvent(new Event('change')); }"
    )
    assert reader.js("return CAMRAY.worklist.shown.map((film) => film.id)") != listed
    reader.press("g")  # off again: neither the mark nor the order nor the count is left
    assert is_hidden()
    assert sorted(reader.js("return CAMRAY.worklist.shown.map((film) => film.id)")) == sorted(listed)


def test_a_film_read_blind_shows_neither_the_ai_nor_annotations(browser: Any, page: tuple[Path, Any]) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr B", blind=True)
    before = reader.film
    labels = [reader.js(PERCEPTIBLE)]
    for keys in ("gt,.[]b", "c", "3gt,.]b"):  # no key shows it either
        reader.press(*keys)
        labels.append(reader.js(PERCEPTIBLE))
        assert reader.js("return document.querySelectorAll('#marks .ai, #marks .annotated').length") == 0
        assert reader.js("return getComputedStyle(document.getElementById('heat')).visibility") == "hidden"
    assert reader.film == before
    for text in labels:
        for word in ("≠", "reported", "cutoff", "Threshold", "differ", "to judge", ", AI", "0."):
            assert word not in text, word
    assert not (OF_ANNOTATIONS | OF_THE_AI) & set(reader.js(FILTERS))
    assert reader.js("return CAMRAY.worklist.shown.map((film) => film.number)") == list(
        range(reader.js("return CAMRAY.films.all.length"))
    )


def test_a_file_exported_while_reading_blind_does_not_tell_the_ai(
    browser: Any, page: tuple[Path, Any], tmp_path: Path
) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr C", blind=True)
    film = reader.film
    reader.choose("Nodule")
    reader.press("a", "\ue00c")
    path = reader.export(tmp_path / "down")
    (entry,) = json.loads(path.read_text(encoding="utf-8"))["films"]
    assert entry["findings"]["Nodule"]["value"] == "1"
    assert entry["findings"]["Nodule"]["ai"] is None
    assert [one.what for one in read_decisions(path, LABELS).problems] == [
        "answered blind on a film whose AI result was not shown yet; ignored"
    ]
    path.unlink()
    reader.press("v", "\ue007")
    reader.judge_rest()
    entries = json.loads(reader.export(tmp_path / "down").read_text(encoding="utf-8"))["films"]
    (entry,) = [entry for entry in entries if entry["image_id"] == film]
    assert all(set(finding["ai"]) == {"reported", "probability", "boxes"} for finding in entry["findings"].values())


def test_each_answer_says_what_was_shown_when_it_was_given(
    browser: Any, page: tuple[Path, Any], tmp_path: Path
) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr E", blind=True)
    film = reader.film
    reader.choose("Nodule")
    reader.press("a", "\ue00c", "v")
    assert reader.finding(film, "Nodule")["shown"] == {"ai": False, "annotations": False}
    reader.choose("Mass")
    reader.press("u")
    reader.press("g", "g")  # a look at the annotations
    reader.choose("Hernia")
    reader.press("u", "m")
    reader.press("late remark", "\ue00c")
    told = {label: reader.finding(film, label)["shown"] for label in ("Mass", "Hernia")}
    assert told == {"Mass": {"ai": True, "annotations": False}, "Hernia": {"ai": True, "annotations": True}}
    reader.choose("Mass")
    reader.press("m", "no new answer", "\ue00c")
    assert reader.finding(film, "Mass")["shown"] == told["Mass"]
    reader.press("\ue009" + "z" + "\ue000")  # undo: what was seen stays seen
    assert reader.js("return CAMRAY.state.of(arguments[0]).annotations_seen", film)
    reader.judge_rest()
    read = {
        (one.label, one.phase): one.shown
        for one in read_decisions(reader.export(tmp_path / "down"), LABELS).decisions
        if one.image_id == film
    }
    assert read["Nodule", Phase.BLIND] == read["Mass", Phase.BLIND] == Shown(False, False)
    assert read["Mass", Phase.FINAL] == Shown(True, False)
    implicit = [label for label in LABELS if (label, Phase.FINAL) in read and label not in ("Nodule", "Mass")]
    assert implicit
    assert {read[label, Phase.FINAL] for label in implicit} == {Shown(True, True)}


def test_records_of_an_older_page_are_unknown_and_nonsense_is_not_imported(
    browser: Any, page: tuple[Path, Any]
) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr F")
    other = reader.js("return CAMRAY.films.all[5].id")
    old = {"verdict": "uncertain", "value": None, "boxes": None, "comment": "", "level": None, "changed": "2"}
    film = {"image_id": other, "changed": "2", "findings": {"Mass": old, "Nodule": {**old, "shown": {"ai": 1}}}}
    reader.js(
        "CAMRAY.exchange.take(JSON.stringify({format: 'camray-review/1', reader: 'Dr F', films: [arguments[0]]}))", film
    )
    assert "0 boxes and 1 answer." in browser.find_element("id", "message-text").text
    assert reader.finding(other, "Mass")["shown"] is None
    assert reader.finding(other, "Nodule")["shown"] is None
    assert reader.js("return CAMRAY.state.of(arguments[0]).annotations_seen", other) is None


def test_a_film_whose_result_was_in_the_list_is_not_read_blind(
    browser: Any, page: tuple[Path, Any], tmp_path: Path
) -> None:
    reader = Reader(browser, page[0]).sit_down("Dr D", blind=True)
    films = reader.js("return CAMRAY.films.all.map((film) => film.id)")
    reader.js("CAMRAY.state.editFinding(arguments[0], 'Mass', (finding) => { finding.value = '1'; })", films[1])
    browser.find_element("id", "blind").click()  # the list shows results, of films that are not open too
    visible = reader.js(
        "const box = document.getElementById('rows').getBoundingClientRect();"
        "return [...document.querySelectorAll('.row')].filter((row) => {"
        "  const at = row.getBoundingClientRect(); return at.top < box.bottom - 1 && at.bottom > box.top + 1;"
        "}).map((row) => row.dataset.id)"
    )
    assert 3 < len(visible) < len(films)
    browser.find_element("id", "blind").click()
    hidden = reader.js("return CAMRAY.films.all.filter(CAMRAY.hidesAi).map((film) => film.id)")
    assert hidden == [film for film in films if film not in visible]
    assert reader.js("return CAMRAY.state.of(arguments[0]).blind.Mass.value", films[1]) == "1"  # was given blind
    assert reader.js("return CAMRAY.state.status(arguments[0])", films[2]) == "unread"
    read = read_decisions(reader.export(tmp_path / "down"), LABELS).readings
    assert {one.image_id for one in read} == {films[0], films[1]}  # films that were only listed were not read
