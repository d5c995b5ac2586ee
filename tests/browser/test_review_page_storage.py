"""A browser whose storage is full: what the review page says, and that no answer is lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.page_reader import Reader, large_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
FILL = """
let size = 1 << 22, number = 0;
while (size >= 1) {
  try { localStorage.setItem('filler-' + number++, 'x'.repeat(size)); } catch (error) { size >>= 1; }
}
"""
EMPTY = "for (const key of Object.keys(localStorage)) if (key.startsWith('filler-')) localStorage.removeItem(key);"
SAVED = "return JSON.parse(localStorage.getItem(Object.keys(localStorage).find((key) => key.endsWith(arguments[0]))))"
WARNS = "return !window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return large_page(tmp_path / "page", 3)


def _answer(reader: Reader, film: str, verdict: str) -> None:
    reader.js(
        "const [film, verdict] = arguments;"
        "CAMRAY.state.editFinding(film, 'Finding 0', (finding) => { finding.verdict = verdict; })",
        film,
        verdict,
    )


def test_a_banner_stays_while_answers_are_not_saved(browser: Any, index: Path, tmp_path: Path) -> None:
    reader = Reader(browser, index).sit_down("Dr A")
    banner = browser.find_element("id", "unsaved")
    _answer(reader, "1.2.3.0", "confirm")
    assert not banner.is_displayed()
    assert not reader.js(WARNS)

    reader.js(FILL)
    _answer(reader, "1.2.3.1", "uncertain")
    assert banner.is_displayed()
    assert banner.text.startswith("Not saved: this browser's storage is full. The latest work on")
    reader.press("j", "k", "?", "\ue00c")  # it stays, whatever the reader does
    assert banner.is_displayed()
    assert reader.js(WARNS)  # closing the window asks first

    reader.sit_down("Dr A")  # loaded anew: the saved answer, the unsaved one and the banner are there
    banner = browser.find_element("id", "unsaved")
    assert reader.finding("1.2.3.0", "Finding 0")["verdict"] == "confirm"
    assert reader.finding("1.2.3.1", "Finding 0")["verdict"] == "uncertain"
    assert banner.is_displayed()
    assert reader.js(WARNS)

    browser.find_element("id", "unsaved-download").click()
    reader.wait(lambda: list((tmp_path / "down").glob("decisions-*.json")), "no file was saved")
    (path,) = (tmp_path / "down").glob("decisions-*.json")
    films = {film["image_id"]: film for film in json.loads(path.read_text(encoding="utf-8"))["films"]}
    assert films["1.2.3.1"]["findings"]["Finding 0"]["verdict"] == "uncertain"
    assert banner.is_displayed()
    assert "Downloaded at" in banner.text
    assert path.name in banner.text
    assert not reader.js(WARNS)
    _answer(reader, "1.2.3.2", "reject")  # not in the file
    assert reader.js(WARNS)

    reader.js(EMPTY)  # room again: all of it is saved, and the banner goes
    _answer(reader, "1.2.3.0", "uncertain")
    assert not banner.is_displayed()
    assert not reader.js(WARNS)
    for film, verdict in (("1.2.3.0", "uncertain"), ("1.2.3.1", "uncertain"), ("1.2.3.2", "reject")):
        assert reader.js(SAVED, film)["findings"]["Finding 0"]["verdict"] == verdict
    assert reader.js("return Object.keys(sessionStorage).length") == 0


def test_a_browser_that_is_full_from_the_start_restores_what_it_has(browser: Any, index: Path) -> None:
    reader = Reader(browser, index).sit_down("Dr B")
    _answer(reader, "1.2.3.0", "uncertain")
    reader.js("localStorage.removeItem('camray-review');" + FILL)
    reader.sit_down("Dr B")
    assert reader.finding("1.2.3.0", "Finding 0")["verdict"] == "uncertain"


def test_a_browser_without_storage_says_so_at_once(browser: Any, index: Path) -> None:
    browser.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument",
        {
            "source": "for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, "
            "{ get() { throw new DOMException('denied', 'SecurityError'); } });"
        },
    )
    reader = Reader(browser, index).sit_down("Dr C")
    banner = browser.find_element("id", "unsaved")
    assert "this browser stores no data for this page. Download the decisions file" in banner.text
    _answer(reader, "1.2.3.0", "uncertain")
    assert reader.js(WARNS)
    assert reader.finding("1.2.3.0", "Finding 0")["verdict"] == "uncertain"
