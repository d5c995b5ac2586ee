"""A reader at the review page, and pages with any number of films."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from camray.adapters.review.page_folder import write_page
from camray.domain.geometry import Box, GridTransform
from camray.reporting.review_page.page import review_page_files
from camray.reporting.review_page.records import PageFilm, PageRecipe, PageRun
from tests.workflows.review.reviewed_run import LABELS

PATIENCE_S = 60.0
FOURTEEN = tuple(f"Finding {number}" for number in range(14))


class Reader:
    """A radiologist at the page."""

    def __init__(self, browser: Any, index: Path) -> None:
        self.browser, self.index = browser, index

    def sit_down(self, name: str, blind: bool = False) -> "Reader":
        self.browser.get(self.index.as_uri())
        field = self.browser.find_element("id", "reader-name")
        field.clear()
        field.send_keys(name)
        if blind:
            self.browser.find_element("id", "reader-blind").click()
        self.browser.find_element("id", "reader-start").click()
        self.wait(lambda: self.js("return CAMRAY.data !== null"), "no film opened")
        return self

    def js(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def wait(self, ready: Callable[[], Any], what: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while not ready():
            assert time.monotonic() < until, what
            time.sleep(0.05)

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.browser).send_keys(key).perform()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one native point to another."""
        from selenium.webdriver import ActionChains

        port = self.browser.find_element("id", "viewport")
        middle = self.js(
            "const v = document.getElementById('viewport'); return [v.clientWidth / 2, v.clientHeight / 2]"
        )
        at = [self.js("return CAMRAY.viewer.toScreen(arguments[0], arguments[1])", *point) for point in (start, end)]
        offsets = [[round(x - m) for x, m in zip(point, middle, strict=True)] for point in at]
        hand = ActionChains(self.browser, duration=20).move_to_element_with_offset(port, *offsets[0]).click_and_hold()
        hand.move_to_element_with_offset(port, *offsets[1]).release().perform()

    def open(self, image_id: str) -> None:
        self.js("CAMRAY.open(CAMRAY.films.byId.get(arguments[0]))", image_id)
        self.wait(lambda: self.js("return CAMRAY.data !== null"), "the film did not open")

    @property
    def film(self) -> str:
        return str(self.js("return CAMRAY.current.id"))

    def choose(self, label: str) -> None:
        self.press(str(LABELS.index(label) + 1))

    def finding(self, image_id: str, label: str) -> Any:
        return self.js("return CAMRAY.state.finding(arguments[0], arguments[1])", image_id, label)

    def judge_rest(self) -> None:
        """Confirm whatever is still to judge, and go on to the next film."""
        before = self.film
        for label in self.js("return CAMRAY.findings.missing(CAMRAY.current)"):
            self.press(str(label + 1), "c")
        self.press("\ue007")
        self.wait(lambda: self.film != before, "the next film did not open")
        self.wait(lambda: self.js("return CAMRAY.data !== null"), "the next film did not open")

    def export(self, folder: Path) -> Path:
        self.browser.find_element("id", "export").click()
        self.wait(lambda: list(folder.glob("decisions-*.json")), "no file was saved")
        (path,) = folder.glob("decisions-*.json")
        return path


def reported_with_boxes(reader: Reader) -> list[list[Any]]:
    """Return (film, labels reported with a box), in the order of the list."""
    found: list[list[Any]] = reader.js(
        "const labels = (f) => CAMRAY.run.labels.filter((name, i) => f.reported[i] && f.boxes[i].length);"
        "return CAMRAY.films.all.map((f) => [f.id, labels(f)]);"
    )
    return found


def large_page(folder: Path, films: int, labels: tuple[str, ...] = FOURTEEN) -> Path:
    rng, n = np.random.default_rng(1), len(labels)
    recipe = PageRecipe("max", 0.2, 0.0, 1.0, "hottest", (1.0,), "fraction of the map's maximum")
    grid = {"rows": 64, "cols": 64, "feature_rows": 8, "feature_cols": 8}
    run = PageRun("large", "0", "cam", labels, (0.5,) * n, (0.0,) * n, (recipe,) * n, grid, 0, 0.0, True, None, True)
    ids = [f"1.2.3.{number}" for number in range(films)]
    grey = rng.integers(0, 255, (64, 64)).astype(np.uint8)

    def film(image_id: str) -> PageFilm:
        probabilities = rng.random(n)
        return PageFilm(
            image_id,
            grey,
            rng.normal(size=(n, 8, 8)).astype(np.float16),
            (512, 512),
            1.0,
            GridTransform(0.125, 0.125),
            (0, 64, 0, 64),
            probabilities.tolist(),
            (probabilities - 0.5).tolist(),
            [bool(p > 0.5) for p in probabilities],
            [[Box(10, 10, 50, 60)]] * n,
            [],
            [False] * n,
            [None] * n,
        )

    write_page(folder, review_page_files(run, ids, (film(image_id) for image_id in ids)))
    return folder / "index.html"
