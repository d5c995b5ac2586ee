"""One worker is this process: no start of another one, and tests can replace what it calls."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from camray.adapters import process_pool


def map_here(
    function: Callable[[Any], Any], items: Iterable[Any], workers: int
) -> Iterator[process_pool.Outcome[Any, Any]]:
    """Stand in for `map_processes`; more than one worker are processes as always."""
    if workers > 1:
        return process_pool.map_processes(function, items, workers)
    return (_here(function, item) for item in items)


def _here(function: Callable[[Any], Any], item: Any) -> process_pool.Outcome[Any, Any]:
    answer = process_pool._answer(function, item)
    if isinstance(answer, Exception):
        raise answer
    return process_pool.Outcome(item, *answer)
