"""Repetition of requests to a PACS that cannot be reached."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from camray.domain.errors import UnreachableError

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is tried; the waits between attempts double from the first to the longest.

    Parameters
    ----------
    attempts : int
        At least 1.
    first_wait_s, longest_wait_s : float
        Seconds.
    sleep : callable
        Waits for so many seconds.
    """

    attempts: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def wait_s(self, attempt: int) -> float:
        """Return the seconds to wait after an attempt, which are numbered from 1."""
        return float(min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1)))

    def call(self, request: Callable[[], _Result]) -> _Result:
        """Return the result of a request, repeated as long as it raises `UnreachableError`.

        Raises
        ------
        UnreachableError
            If the last attempt fails too. All other errors are raised at once.
        """
        attempt = 1
        while True:
            try:
                return request()
            except UnreachableError as error:
                if attempt >= self.attempts:
                    raise UnreachableError(
                        f"{error} (attempt {attempt} of {self.attempts}); run the same command again to resume"
                    ) from None
            self.sleep(self.wait_s(attempt))
            attempt += 1
