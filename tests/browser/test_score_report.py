"""The score report in a real browser: nothing is cut off on screen, every picture shows, and it prints on A4."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camray.adapters.tracking.interface import NullTracker
from camray.reporting.score_report.protocol_texts import PROTOCOLS
from camray.stages.localize import stage as localize
from camray.stages.score import stage as score
from tests.chromium import browsing
from tests.scored_run import make_run, settings_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
LABELS = ("Enlarged Cardiomediastinum", "Cardiomegaly", "Pleural Effusion")
TOO_WIDE = """
return [...document.querySelectorAll('table, img, p, h1, h2, h3')]
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => e.outerHTML.slice(0, 80));
"""
BLANK = "return [...document.images].filter(e => !e.complete || !e.naturalWidth || !e.alt).length;"
LOADED = "return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).map(e => e.name);"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("run"), LABELS, 60)
    settings = settings_of(pictures=True, protocols=list(PROTOCOLS), wsol_thresholds=100)
    localize.run(settings, folder, NullTracker())
    score.run(settings, folder, NullTracker())
    return folder.root / "score" / "report.html"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    with browsing(tmp_path) as driver:
        yield driver


def test_the_report_fits_the_screen_and_loads_nothing(page: Path, browser: Any) -> None:
    browser.get(page.as_uri())
    for width in (1440, 1024):
        browser.set_window_size(width, 900)
        assert browser.execute_script(TOO_WIDE) == []
    assert browser.execute_script(BLANK) == 0
    assert browser.execute_script(LOADED) == []
    assert browser.execute_script("return document.querySelectorAll('section.protocol').length;") == len(PROTOCOLS)


def test_the_report_prints_with_heads_repeated_and_films_side_by_side(page: Path, browser: Any) -> None:
    browser.get(page.as_uri())
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 688, "height": 1017, "deviceScaleFactor": 1, "mobile": False},  # A4 less its margins
    )
    assert browser.execute_script(TOO_WIDE) == []
    heads = "return [...document.querySelectorAll('thead')].map(e => getComputedStyle(e).display);"
    assert set(browser.execute_script(heads)) == {"table-header-group"}
    films = "return getComputedStyle(document.querySelector('.films')).gridTemplateColumns.split(' ').length;"
    assert browser.execute_script(films) == 3
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")
