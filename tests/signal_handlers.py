"""Commands that run within the test process set its handlers of signals: a later one would end that process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_signal_handlers() -> Iterator[None]:
    """Undo at the end what was done to signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
