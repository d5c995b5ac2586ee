"""A limit on the memory that a piece of work allocates, so that a hostile file is an error and no dead machine."""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATM = Path("/proc/self/statm")
_DATA_FIELD = 5  # pages of data and stack
_lock = threading.Lock()
_inside: list[tuple[int, int]] = []  # limits to be restored: one entry per piece of work, all of them equal


@contextmanager
def limited_memory(n_bytes: int) -> Iterator[None]:
    """Let this process allocate `n_bytes` more than it has; beyond them an allocation is a ``MemoryError``.

    Parameters
    ----------
    n_bytes : int
        Private writable memory (``RLIMIT_DATA``). Threads that work at the same time share the limit of the first.

    Notes
    -----
    Linux only. Elsewhere nothing is limited. A lower limit of the system stays.
    """
    _enter(n_bytes)
    try:
        yield
    finally:
        _leave()


def _enter(n_bytes: int) -> None:
    with _lock:
        before = resource.getrlimit(resource.RLIMIT_DATA)
        _inside.append(_inside[0] if _inside else before)
        if len(_inside) > 1 or not _STATM.exists():
            return
        limit = int(_STATM.read_text().split()[_DATA_FIELD]) * resource.getpagesize() + n_bytes
        if all(other in (resource.RLIM_INFINITY, -1) or limit < other for other in before):
            resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))


def _leave() -> None:
    with _lock:
        before = _inside.pop()
        if not _inside:
            resource.setrlimit(resource.RLIMIT_DATA, before)
