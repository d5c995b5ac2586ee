"""Drawing of curves as PNG bytes: ROC, precision and recall, reliability, FROC, thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from camray.core.metrics.curves import FROC_IOU, Reliability
from camray.core.metrics.protocols.max_box_acc import FIXED_LEVEL, LEVELS
from camray.reporting.score_report.charts import COLOURS, DPI, FAINT, FONT, GRID, INK, cut, plain_axes, png_of

MOST_FALSE_POSITIVES = 1.0
STYLES = ("-", "--", ":")


@dataclass(frozen=True)
class Curve:
    """One label's curve, x and y, and its text in the legend."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    caption: str


def curve_chart(curves: Sequence[Curve], title: str, x_name: str, y_name: str, diagonal: bool = False) -> bytes:
    """Draw all labels' curves into one square chart; `diagonal` marks chance."""
    figure, axes = _square(title, x_name, y_name)
    if diagonal:
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=1)
    for number, curve in enumerate(curves):
        axes.plot(curve.x, curve.y, **_style(number), label=cut(curve.caption, 44))
    axes.set_xlim(-0.02, 1.02)
    return _with_legend(figure, axes)


def reliability_chart(reliabilities: Mapping[str, Reliability], title: str) -> bytes:
    """Draw observed frequency against mean probability, by caption; the diagonal is perfect calibration."""
    figure, axes = _square(title, "mean probability", "share with the finding")
    axes.plot([0, 1], [0, 1], color=GRID, linewidth=1)
    for number, (caption, each) in enumerate(reliabilities.items()):
        axes.plot(each.promised, each.observed, marker="o", markersize=3, **_style(number), label=cut(caption, 44))
    axes.set_xlim(-0.02, 1.02)
    return _with_legend(figure, axes)


def froc_chart(curves: Sequence[Curve], method: str) -> bytes:
    """Draw one method's sensitivity against false positives per film; the axis ends at the last point."""
    title = f"FROC of {cut(method)}: boxes that find an annotated one (IoU ≥ {FROC_IOU})"
    figure, axes = _square(title, "false positive boxes per film", "annotated boxes found")
    most = max((float(curve.x[-1]) for curve in curves if curve.x.size), default=MOST_FALSE_POSITIVES)
    for number, curve in enumerate(curves):
        axes.step(curve.x, curve.y, where="post", **_style(number), label=cut(curve.caption, 44))
    axes.set_xlim(-0.02 * most, max(most, 0.1) * 1.02)
    axes.set_aspect("auto")
    return _with_legend(figure, axes)


def threshold_chart(accuracy: Mapping[str, NDArray[np.float64]], chosen_levels: Mapping[str, int]) -> bytes:
    """Draw MaxBoxAcc, the share of films whose largest region's box is right, against the threshold.

    Parameters
    ----------
    accuracy : mapping
        Label to share of films, [T], at the thresholds `LEVELS`.
    chosen : mapping
        Label to the index of the threshold chosen on validation, where there is one; drawn as a dot.
    """
    title = "MaxBoxAcc at every threshold (IoU ≥ 0.5)"
    figure, axes = _square(title, "fraction of the map's range", "share of films")
    axes.axvline(float(LEVELS[FIXED_LEVEL]), color=FAINT, linewidth=0.8, linestyle=":", label="20 %, fixed")
    for number, (label, values) in enumerate(accuracy.items()):
        axes.plot(LEVELS, values, **_style(number), label=cut(label, 44))
        if label in chosen_levels:
            level = chosen_levels[label]
            axes.plot([LEVELS[level]], [values[level]], "o", color=COLOURS[number % len(COLOURS)], markersize=5)
    if chosen_levels:
        axes.plot([], [], "o", color=INK, markersize=5, label="chosen on validation")
    axes.set_xlim(-0.02, 1.02)
    return _with_legend(figure, axes)


def _square(title: str, x_name: str, y_name: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, title)
    axes.set_xlabel(x_name, **FONT, color=INK)
    axes.set_ylabel(y_name, **FONT, color=INK)
    return figure, axes


def _style(number: int) -> dict[str, Any]:
    colour, style = COLOURS[number % len(COLOURS)], STYLES[number // len(COLOURS) % len(STYLES)]
    return {"color": colour, "linestyle": style, "linewidth": 1.6}


def _with_legend(figure: Figure, axes: Axes) -> bytes:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, prop=FONT, labelcolor=INK)
    return png_of(figure)
