"""Progress bar on stderr, with rate and remaining time, for work of more than a second."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

Item = TypeVar("Item")
QUIET_SECONDS = 1.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "")


def progress(items: Iterable[Item], total: int | None, what: str) -> Iterator[Item]:
    """Yield `items` and draw a progress bar after one second, if stderr is a terminal.

    Parameters
    ----------
    items : iterable
        Items of the work.
    total : int or None
        Number of items, if known.
    what : str
        Short name of the work; no identifiers.
    """
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield from items
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
    )
    task, started, is_drawn = bar.add_task(what, total=total), time.monotonic(), False
    try:
        for item in items:
            yield item
            bar.advance(task)
            if not is_drawn and time.monotonic() - started > QUIET_SECONDS:
                bar.start()
                is_drawn = True
    finally:
        if is_drawn:
            bar.stop()
