"""Progress on stderr, with rate and remaining time: a bar in a terminal, elsewhere a line per minute."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

Item = TypeVar("Item")
QUIET_SECONDS = 1.0
LINE_SECONDS = 60.0  # between lines without a terminal


class _LastLine:
    """When this process last wrote a line, in seconds of the monotonic clock."""

    at = time.monotonic()


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "")


def progress(items: Iterable[Item], total: int | None, what: str) -> Iterator[Item]:
    """Yield `items`; after one second draw a bar, or without a terminal write a line per minute.

    Lines count from the line before, whatever work it was of: many short works in a row leave a line per minute too.

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
        yield from _with_lines(items, total, what)
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
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


def progress_line(what: str, text: str) -> None:
    """Write a line on stderr: the name of the work in ten columns, and what is known of it; no identifiers."""
    _LastLine.at = time.monotonic()
    sys.stderr.write(f"{what:<10}{text}\n")
    sys.stderr.flush()


def remaining(seconds: float) -> str:
    """Return a duration in words, for instance ``3 min left``."""
    return f"{seconds:.0f} s left" if seconds < 90 else f"{seconds / 60:.0f} min left"


def _with_lines(items: Iterable[Item], total: int | None, what: str) -> Iterator[Item]:
    started = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - _LastLine.at >= LINE_SECONDS:
            rate = done / max(now - started, 1e-9)
            end = f" of {total}, {rate:.1f}/s, {remaining((total - done) / rate)}" if total else f", {rate:.1f}/s"
            progress_line("progress", f"{what}: {done}{end}")
