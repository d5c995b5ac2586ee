"""Locks of a run folder: one process alone, or several parts together."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from camray.domain.errors import IncompleteError, SettingsError

LOCK_FILE = ".lock"


@contextmanager
def held_alone(root: Path, what: str = "the run's lock", wait_s: float = 0.0) -> Iterator[bool]:
    """Hold a folder's lock, which one process can hold several times; yield whether it does so for the first time.

    Raises
    ------
    SettingsError
        If the folder cannot be written.
    IncompleteError
        If another process holds the lock after `wait_s` seconds; the message calls it `what`.
    """
    lock = FileLock(root / LOCK_FILE, is_singleton=True)
    with _faults_reported(root, what):
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=wait_s)
    try:
        yield lock.lock_counter == 1
    finally:
        lock.release()


@contextmanager
def held_together(root: Path) -> Iterator[None]:
    """Hold a run's lock together with others of its kind: none of `held_alone` begins meanwhile; raises as it does."""
    with _faults_reported(root, "the run's lock"):
        root.mkdir(parents=True, exist_ok=True)
        stream = (root / LOCK_FILE).open("a+b")
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BaseException:
            stream.close()
            raise
    with stream:
        yield


def is_held_alone(root: Path) -> bool:
    """Return whether another process holds a folder's lock alone; holds it together for an instant, writes nothing."""
    try:
        with (root / LOCK_FILE).open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock file, or one that cannot be read
        return False
    return False


@contextmanager
def _faults_reported(root: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (Timeout, BlockingIOError) as error:
        raise IncompleteError(
            f"{root}: another process holds {what}; wait for its end, then run the same command again"
        ) from error
    except OSError as error:
        fault = error.strerror or type(error).__name__
        raise SettingsError(f"{root}: the folder cannot be written ({fault}); {_where_to_write(root)}") from error


def _where_to_write(root: Path) -> str:
    if root.is_dir():  # a run that is given: not every command has an option for another folder
        return "allow writing there, or copy the run to a folder that can be written and name the copy"
    return "name a writable folder with --runs, or with --out of `camray predict`"
