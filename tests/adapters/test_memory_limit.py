"""Memory beyond the limit is an error, and the limit ends with the work."""

import resource
import threading

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
