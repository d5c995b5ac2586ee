"""A limit on the memory that a piece of work allocates, so that a hostile file is an error and no dead machine."""

import ctypes
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATM = Path("/proc/self/statm")
_RESIDENT_FIELD, _DATA_FIELD = 1, 5  # pages in memory; of data and stack
_KEPT_BYTES = 2**27  # that may stay in memory after the work: the C library keeps what codecs free, up to 1.4 GiB
_lock = threading.Lock()
_inside: list[tuple[int, int]] = []  # limits to be restored: one entry per piece of work, all of them equal
_resident: list[int] = [0]  # bytes in memory when the first piece of work began


@contextmanager
def limited_memory(n_bytes: int) -> Iterator[None]:
    """Let this process allocate `n_bytes` more than it has; beyond them an allocation is a ``MemoryError``.

    Parameters
    ----------
    n_bytes : int
        Private writable memory (``RLIMIT_DATA``). Threads that work at the same time share the limit of the first.

    Notes
    -----
    Linux only. Elsewhere nothing is limited. A lower limit of the system stays. What the work freed is given back to
    the system where it is much.
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
        _resident[0] = _memory(_RESIDENT_FIELD)
        limit = _memory(_DATA_FIELD) + n_bytes
        if all(other in (resource.RLIM_INFINITY, -1) or limit < other for other in before):
            resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))


def _leave() -> None:
    with _lock:
        before = _inside.pop()
        if not _inside:
            resource.setrlimit(resource.RLIMIT_DATA, before)
            _give_back()


def _memory(field: int) -> int:
    return int(_STATM.read_text().split()[field]) * resource.getpagesize()


def _give_back() -> None:
    if _STATM.exists() and _memory(_RESIDENT_FIELD) > _resident[0] + _KEPT_BYTES:
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
        if trim is not None:
            trim(0)
