"""``run.log``: what the terminal said while stages ran, with times, appended over all starts of a run.

It has what goes to stderr: counts, figures, notes, progress by line, and how the run ended; not the tables of results,
which may name films.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from filelock import Timeout

from camray.adapters.run_folders.digests import code_version
from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.errors import PipelineError
from camray.io.artifacts import artifacts_of

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours and movements of the cursor
_BAR = "━"


class _LoggedStream:
    """A text stream whose complete lines are also appended to a file, once the file's folder exists."""

    def __init__(self, stream: TextIO, path: Path) -> None:
        self._stream, self._path = stream, path
        self._unfinished, self._waiting = "", ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write to the stream, and add what lines it completes to the log."""
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        for line in lines:
            self.log(line)
        return self._stream.write(text)

    def log(self, line: str, *, waits: bool = False) -> None:
        """Append one line to the log, or keep it for the next one; bars, colours and overwritten text are left out."""
        plain = _CONTROL.sub("", line).rpartition("\r")[2].rstrip()
        if not plain or _BAR in plain:
            return
        self._waiting += f"{datetime.now().astimezone().isoformat(timespec='seconds')} {plain}\n"
        if waits or not self._path.parent.is_dir():
            return
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(self._waiting)
        except OSError:  # a full disk, which the stages report; a log does not end a run
            return
        self._waiting = ""


@contextmanager
def run_log(folder: RunFolder, until: str) -> Iterator[None]:
    """Copy what the block writes to stderr, and how it ends, into the run's log; of torchrun's processes the first."""
    if int(os.environ.get("RANK", "0")) > 0:
        yield
        return
    before = sys.stderr
    stream = _LoggedStream(before, artifacts_of(folder).log)
    stream.log(f"camray {code_version()} runs the stages up to {until}", waits=True)
    sys.stderr = stream
    try:
        yield
        stream.log("finished")
    except BaseException as error:
        if not isinstance(error.__cause__, Timeout):  # another process holds the run: the log is its own
            # the message of another error may contain data
            stream.log(f"{type(error).__name__}: {error}" if isinstance(error, PipelineError) else type(error).__name__)
        raise
    finally:
        sys.stderr = before
