"""Charts of the drift page as PNG: distributions of features, and their shift over several folders."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from camray.core.drift.verdict import ALARM_PSI, WATCH_PSI, FeatureDrift, FolderDrift
from camray.reporting.score_report.charts import COLOURS, DPI, FAINT, FONT, INK, cut, plain_axes, png_of

COLUMNS, MOST_CHARTS, MOST_CURVES, TITLE_CHARACTERS = 3, 9, 7, 44
_BEFORE, _NOW = "#9aa5b1", "#d55e00"


def distribution_chart(rows: Sequence[FeatureDrift]) -> bytes | None:
    """Draw the shares of films in the bins of each feature: reference grey, folder orange.

    Parameters
    ----------
    rows : sequence of FeatureDrift
        The first `MOST_CHARTS` that have films on both sides are drawn.

    Returns
    -------
    bytes or None
        PNG; None where no feature has any.
    """
    drawn = [row for row in rows if row.films and row.reference.films][:MOST_CHARTS]
    if not drawn:
        return None
    lines = -(-len(drawn) // COLUMNS)
    figure = Figure(figsize=(10.2, 0.5 + 2.35 * lines), dpi=DPI, layout="constrained")
    grid = figure.subplots(lines, COLUMNS, squeeze=False)
    for axes, row in zip(grid.flat, drawn, strict=False):
        _bars(axes, row)
    for axes in grid.flat[len(drawn) :]:
        axes.set_axis_off()
    handles, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=2, frameon=False, prop=FONT, labelcolor=INK)
    return png_of(figure)


def trend_chart(folders: Sequence[FolderDrift]) -> bytes | None:
    """Draw PSI with its interval over the folders, for the features that shifted most in any of them.

    Parameters
    ----------
    folders : sequence of FolderDrift
        In the order of time.

    Returns
    -------
    bytes or None
        PNG; None for a single folder, or where nothing was measured.
    """
    keys = _most_shifted(folders)
    if len(folders) < 2 or not keys:
        return None
    figure = Figure(figsize=(10.2, 3.8), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, "")
    tops = [ALARM_PSI, *(_curve(axes, folders, key, number, len(keys)) for number, key in enumerate(keys))]
    for level, name in ((WATCH_PSI, "watch"), (ALARM_PSI, "alarm")):
        axes.axhline(level, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.text(1.0, level, f" {name}", transform=axes.get_yaxis_transform(), color=FAINT, va="center", **FONT)
    names = [f"{number}. {folder.written}".rstrip(". ") for number, folder in enumerate(folders, start=1)]
    axes.set_xticks(range(len(folders)), names, rotation=30 if len(folders) > 6 else 0, **FONT)
    axes.set_ylabel("PSI", **FONT)
    axes.set_ylim(0, 1.05 * max(tops))
    axes.legend(loc="center left", bbox_to_anchor=(1.08, 0.5), frameon=False, prop=FONT, labelcolor=INK)
    return png_of(figure)


def _bars(axes: Axes, row: FeatureDrift) -> None:
    reference = row.reference
    shares = [reference.in_bins(each) / each.sum() for each in (row.reference_counts, row.counts)]
    at = np.arange(len(shares[0]))
    for share, offset, colour, name in zip(
        shares, (-0.2, 0.2), (_BEFORE, _NOW), ("films of the run", "predictions"), strict=True
    ):
        axes.bar(at + offset, 100 * share, 0.4, color=colour, label=name)
    plain_axes(axes, "")
    axes.set_title(cut(f"{reference.title}: {row.level}", TITLE_CHARACTERS), loc="left", color=INK, **FONT)
    small = {**FONT, "size": 7}
    titles = [cut(title, 16) for title in reference.bin_titles]
    axes.set_xticks(at, titles, rotation=35 if len(at) > 3 else 0, ha="right" if len(at) > 3 else "center", **small)
    axes.set_ylabel("% of films", **small)
    axes.set_ylim(0, 108 * max(share.max() for share in shares))
    axes.tick_params(axis="y", labelsize=7)


def _most_shifted(folders: Sequence[FolderDrift]) -> list[str]:
    """Return the keys of the features of the highest PSI in any folder, highest first."""
    highest: dict[str, float] = {}
    for folder in folders:
        for row in folder.rows:
            if row.shift is not None:
                highest[row.reference.key] = max(highest.get(row.reference.key, 0.0), row.shift.psi)
    return sorted(highest, key=lambda key: (-highest[key], key))[:MOST_CURVES]


def _curve(axes: Axes, folders: Sequence[FolderDrift], key: str, number: int, curves: int) -> float:
    """Draw one feature; return the upper end of its intervals."""
    points = [
        (at, row.shift, row.reference.title)
        for at, folder in enumerate(folders)
        for row in folder.rows
        if row.reference.key == key and row.shift is not None
    ]
    at = np.array([point[0] for point in points]) + 0.06 * (number - (curves - 1) / 2)
    psi = np.array([point[1].psi for point in points])
    below = np.array([max(point[1].psi - point[1].psi_low, 0) for point in points])
    above = np.array([max(point[1].psi_high - point[1].psi, 0) for point in points])
    colour = COLOURS[number % len(COLOURS)]
    axes.errorbar(
        at, psi, yerr=[below, above], color=colour, fmt="-o", markersize=4, linewidth=1, label=cut(points[0][2])
    )
    return float(max(psi + above))
