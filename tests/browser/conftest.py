"""A browser, and a review page with everything that a run may have."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camray.workflows.review.export_page import build
from tests.chromium import browsing
from tests.workflows.review.reviewed_run import make_reviewed_run


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    settings, folder = make_reviewed_run(tmp_path_factory.mktemp("review"), min_area=0.003, boxes="many")
    return build(settings, folder).index, folder


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    with browsing(tmp_path) as driver:
        driver.set_script_timeout(300)
        yield driver
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
