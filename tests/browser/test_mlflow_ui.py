"""The overlays are pictures in the MLflow UI, seen in a real browser."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camray.adapters.tracking.mlflow import MlflowTracker
from camray.adapters.tracking.store import store_uri
from camray.adapters.tracking.ui import ui_command, ui_environment
from camray.domain.geometry import Box
from camray.reporting.overlays import draw_overlay, heat01_of
from tests.chromium import browsing

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
PATIENCE_S = 180.0
# true for a picture of this address that the browser has fetched, decoded and laid out
SEEN = """
return [...document.querySelectorAll('img')].filter(i => i.naturalWidth > 0 && i.clientWidth > 0)
  .map(i => [i.src, i.naturalWidth, i.naturalHeight, i.clientWidth]);
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run: two overlays as cards, files and table rows."""
    root = tmp_path_factory.mktemp("ui") / "runs" / "shown"
    overlays = root / "export" / "overlays"
    overlays.mkdir(parents=True)
    y, x = np.mgrid[0:256, 0:200]
    for number, centre in enumerate((60, 140)):
        film = np.exp(-((x - 100) ** 2) / 6000).astype(np.float32)
        heat = heat01_of(np.exp(-((x - centre) ** 2 + (y - 90) ** 2) / 900))
        boxes = [Box(centre - 30, 60, centre + 30, 120)]
        drawn = draw_overlay(film, heat, boxes, [Box(centre - 25, 50, centre + 40, 110)], f"Mass 0.9{number}")
        Image.fromarray(drawn).save(overlays / f"film-{number}.png")
    with MlflowTracker(root, root.parent, None, "shown", "unused:unused") as tracker:
        tracker.params({"train": {"max_epochs": 2}})
        with tracker.stage("export"):
            for number in range(2):
                tracker.picture(overlays / f"film-{number}.png", "overlay", number)
            tracker.artifact(overlays, "overlays")
            table = {"image_id": ["film-0", "film-1"], "iou": [0.5, 0.6]}
            pictures = [str(overlays / f"film-{number}.png") for number in range(2)]
            tracker.table(pd.DataFrame({**table, "overlay": pictures}), "findings", "overlay")
    return root.parent


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    """The UI on a free port, ended with everything it started."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    log = (runs / "server.log").open("wb")
    server = subprocess.Popen(
        ui_command(store_uri(None, runs), port),
        env=ui_environment(os.environ),
        stdout=log,
        stderr=log,
        cwd=runs,
        start_new_session=True,
    )
    try:
        _wait_for_server(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
        log.close()


def _wait_for_server(address: str, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if server.poll() is not None:
            pytest.fail(f"the server ended with {server.returncode}")
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    pytest.fail("the server did not answer")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    with browsing(tmp_path, "1500,1100") as driver:
        yield driver


def _wait_for_overlays(browser: Any, overlay: Path, least: int, shot: Path) -> list[list[Any]]:
    """Return the visible pictures in the overlay's proportions, as soon as there are so many."""
    with Image.open(overlay) as opened:
        aspect = opened.width / opened.height
    until = time.monotonic() + PATIENCE_S
    found: list[list[Any]] = []
    while time.monotonic() < until:
        pictures = browser.execute_script(SEEN)
        found = [picture for picture in pictures if abs(picture[1] / picture[2] / aspect - 1) < 0.02]
        if len(found) >= least:
            time.sleep(1)
            browser.save_screenshot(str(shot))
            return found
        time.sleep(0.5)
    browser.save_screenshot(str(shot))
    pytest.fail(
        f"{len(found)} of {least} pictures; the page says: {browser.find_element('tag name', 'body').text[:800]}"
    )


def _overlay(runs: Path) -> Path:
    return runs / "shown" / "export" / "overlays" / "film-1.png"


def _export_run(runs: Path) -> tuple[str, str]:
    import mlflow

    client = mlflow.MlflowClient(store_uri(None, runs), registry_uri=store_uri(None, runs))
    experiment = client.get_experiment_by_name("shown").experiment_id
    (run,) = client.search_runs([experiment], "attributes.run_name = 'export'")
    return experiment, run.info.run_id


def test_the_cards_show_the_overlays(browser: Any, address: str, runs: Path, tmp_path: Path) -> None:
    experiment, run_id = _export_run(runs)
    browser.get(f"{address}/#/experiments/{experiment}/runs/{run_id}/model-metrics")
    _wait_for_overlays(browser, _overlay(runs), 1, tmp_path / "cards.png")
    assert "overlay" in browser.find_element("tag name", "body").text
    assert browser.find_elements("css selector", "[role='slider']"), "the card has no step slider"


def test_the_artifacts_preview_an_overlay(browser: Any, address: str, runs: Path, tmp_path: Path) -> None:
    experiment, run_id = _export_run(runs)
    browser.get(f"{address}/#/experiments/{experiment}/runs/{run_id}/artifacts/overlays/film-1.png")
    found = _wait_for_overlays(browser, _overlay(runs), 1, tmp_path / "preview.png")
    with Image.open(_overlay(runs)) as overlay:
        assert overlay.size in [(picture[1], picture[2]) for picture in found]


def test_the_table_has_thumbnails(browser: Any, address: str, runs: Path, tmp_path: Path) -> None:
    experiment, run_id = _export_run(runs)
    browser.get(f"{address}/#/experiments/{experiment}/runs/{run_id}/artifacts/findings.json")
    _wait_for_overlays(browser, _overlay(runs), 2, tmp_path / "table.png")
    text = browser.find_element("tag name", "body").text
    assert "film-0" in text
    assert "0.6" in text
