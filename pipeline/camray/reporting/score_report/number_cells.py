"""Numbers of the report as text, with their intervals."""

from dataclasses import dataclass

import numpy as np

from camray.core.metrics.summary import Estimate

MISSING = "–"


@dataclass(frozen=True)
class NumberCell:
    """A number and its interval as they are printed; the interval may be empty."""

    value: str
    interval: str = ""


def number_cell(estimate: Estimate | None) -> NumberCell:
    """Return a number with its interval, or a dash where there is none."""
    if estimate is None or not estimate.is_defined:
        return NumberCell(MISSING)
    has_interval = np.isfinite(estimate.low)
    return NumberCell(f"{estimate.value:.2f}", f"{estimate.low:.2f}–{estimate.high:.2f}" if has_interval else "")
