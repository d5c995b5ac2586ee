"""One worker is this process: no start of another one, and tests can replace what it calls."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from camray.adapters import process_pool
from camray.stages.ingest import stage


@pytest.fixture(autouse=True)
def one_worker_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def map_here(
        function: Callable[[Any], Any], items: Iterable[Any], workers: int
    ) -> Iterator[process_pool.Outcome[Any, Any]]:
        if workers > 1:
            return process_pool.map_processes(function, items, workers)
        return (_here(function, item) for item in items)

    monkeypatch.setattr(stage, "map_processes", map_here)


def _here(function: Callable[[Any], Any], item: Any) -> process_pool.Outcome[Any, Any]:
    answer = process_pool._answer(function, item)
    if isinstance(answer, Exception):
        raise answer
    return process_pool.Outcome(item, *answer)
