"""The comparison of two runs as a page, and its lines for the terminal."""

from collections.abc import Mapping
from typing import Any

from camray.core.metrics.statistics import MEAN_LABEL
from camray.reporting.page_rendering import render

_SMALLEST_P = 0.001


def comparison_lines(comparison: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return one line of texts per row: finding, metric, A, B, difference with interval, p, films.

    Parameters
    ----------
    comparison : mapping
        `PairedComparison.as_json`.
    """
    return [
        (
            str(row["label"]),
            row["metric"] + (f" >= {row['criterion']:g}" if row["criterion"] is not None else ""),
            _number(row["first"]),
            _number(row["second"]),
            f"{_number(row['difference'], '+')} ({_number(row['low'], '+')} to {_number(row['high'], '+')})",
            _p_text(row["p"]),
            str(row["n"]),
        )
        for row in comparison["rows"]
    ]


def comparison_page(comparison: Mapping[str, Any]) -> str:
    """Return the comparison as one self-contained page, with all metrics.

    Parameters
    ----------
    comparison : mapping
        `PairedComparison.as_json`.
    """
    rows = comparison["rows"]
    lines = [
        {"cells": cells, "is_mean": row["label"] == MEAN_LABEL, "verdict": _verdict(row)}
        for cells, row in zip(comparison_lines(comparison), rows, strict=True)
    ]
    return render("paired_comparison.html.j2", about=comparison, lines=lines)


def _verdict(row: Mapping[str, Any]) -> str:
    """Say on which side the whole interval of the difference lies; empty where it includes 0 or is undefined."""
    low, high = row["low"], row["high"]
    if low is None or high is None or low <= 0 <= high:
        return ""
    return "B higher" if low > 0 else "A higher"


def _p_text(p: float | None) -> str:
    if p is None:
        return "–"
    return f"< {_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.3f}"


def _number(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.3f}"
