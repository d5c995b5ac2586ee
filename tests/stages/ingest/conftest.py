"""One worker is this process."""

import pytest

from camray.stages.ingest import stage
from tests.one_worker import map_here


@pytest.fixture(autouse=True)
def one_worker_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "map_processes", map_here)
