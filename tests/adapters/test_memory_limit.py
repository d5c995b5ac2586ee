"""Memory beyond the limit is an error, and the limit ends with the work."""

import ctypes
import resource
import threading
from pathlib import Path

import numpy as np
import pytest

from camray.adapters.memory_limit import limited_memory

LIMIT = 2**28


def test_an_allocation_beyond_the_limit_is_an_error() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with limited_memory(LIMIT):
        assert np.ones(LIMIT // 2, np.uint8).sum() == LIMIT // 2
        with pytest.raises(MemoryError):
            np.ones(2 * LIMIT, np.uint8)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert np.ones(2 * LIMIT, np.uint8)[-1] == 1


def test_threads_restore_the_limit_of_the_system() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    first_is_in, second_is_in, first_is_out = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with limited_memory(LIMIT):
            first_is_in.set()
            second_is_in.wait(10)
        first_is_out.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert first_is_in.wait(10)
    with limited_memory(LIMIT):
        second_is_in.set()
        assert first_is_out.wait(10)
        with pytest.raises(MemoryError):
            np.ones(2 * LIMIT, np.uint8)
    thread.join()
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_memory_that_codecs_freed_is_given_back() -> None:
    """One small block above many keeps them all, since the C library returns only the end of its heap."""
    library = ctypes.CDLL(None)
    library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    with limited_memory(4 * LIMIT):
        blocks = [library.malloc(2**16) for _ in range(LIMIT >> 15)]
        for block in blocks:
            library.memset(block, 1, 2**16)
        for block in blocks[:-1]:
            library.free(block)
        kept = _resident()
    assert _resident() < kept - LIMIT  # of the 2 * LIMIT that were freed
    library.free(blocks[-1])
