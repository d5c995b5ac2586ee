"""Drawing of forest and overlap charts as PNG bytes, and the style of all figures.

No state is shared between figures. Colours are those of Okabe and Ito, distinct in every common form of colour
blindness; baselines are grey and differ by their marks.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from camray.core.metrics.localization.hits_and_iou import OVERLAP_CRITERIA
from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import BASELINE_NAMES, rows_of
from camray.reporting.fonts import FAMILY, families_for

DPI = 144
INK, FAINT, GRID = "#1c2733", "#7a8794", "#e3e8ee"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKS = dict(zip(BASELINE_NAMES, ("x", "+", "s", "D", "o", "^", "v"), strict=True))
SOURCE_FILLS = {"validation": True, "fixed": False}
FONT: dict[str, Any] = {"family": FAMILY, "size": 9}


def png_of(figure: Figure) -> bytes:
    """Render a figure, each text in fonts that have its letters; equal figures give equal bytes."""
    for text in figure.findobj(Text):
        if (families := families_for(text.get_text())) is not None and len(families) > 1:
            text.set_fontfamily(families)
    stream = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def forest_chart(
    scores: pd.DataFrame, methods: Sequence[str], metric: str, criterion: float | None, title: str
) -> bytes:
    """Draw every finding's number with its interval, and the baselines' numbers below it.

    Parameters
    ----------
    scores : DataFrame
        `SCORE_COLUMNS` of one split.
    methods : sequence of str
        Explanation methods; each has the colour of its position.
    metric, criterion
        Which rows.
    title : str
        Above the chart.

    Returns
    -------
    bytes
        PNG. Filled dots: threshold chosen on validation. Hollow dots: threshold chosen without boxes.
    """
    rows = rows_of(scores, metric, criterion)
    labels = [*(label for label in rows["label"].unique() if label != MEAN_LABEL), MEAN_LABEL]
    figure = Figure(figsize=(8.2, 1.35 + 0.62 * len(labels)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, title)
    for line, label in enumerate(labels):
        _forest_line(axes, rows[rows["label"] == label], methods, float(line), first=line == 0)
    if len(labels) > 1:
        axes.axhline(len(labels) - 1.5, color=GRID, linewidth=1)
    names = ["mean of findings" if label == MEAN_LABEL else str(label) for label in labels]
    axes.set_yticks(range(len(labels)), [cut(name) for name in names], **FONT)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, prop=FONT, labelcolor=INK)
    return png_of(figure)


def _forest_line(axes: Axes, rows: pd.DataFrame, methods: Sequence[str], line: float, first: bool) -> None:
    for baseline, mark in MARKS.items():
        value = rows.loc[(rows["method"] == baseline) & (rows["threshold_source"] != "oracle"), "value"].max()
        hollow: dict[str, Any] = {} if mark in "x+" else {"markerfacecolor": "none"}
        if np.isfinite(value) or first:
            name = BASELINE_NAMES[baseline] if first else None
            axes.plot([value], [line + 0.27], mark, color=FAINT, markersize=5, label=name, **hollow)
    pairs = [(method, source) for method in methods for source in SOURCE_FILLS]
    for number, (method, source) in enumerate(pairs):
        row = rows[(rows["method"] == method) & (rows["threshold_source"] == source)]
        if row.empty or not np.isfinite(row["value"].iloc[0]):
            continue
        value, low, high = (float(row[name].iloc[0]) for name in ("value", "low", "high"))
        colour = COLOURS[methods.index(method) % len(COLOURS)]
        height = line - 0.28 + 0.42 * number / max(len(pairs) - 1, 1)
        axes.plot([low, high], [height, height], color=colour, linewidth=1.6, solid_capstyle="butt")
        face = colour if SOURCE_FILLS[source] else "white"
        name = f"{method}, {source}" if first else None
        axes.plot([value], [height], "o", color=colour, markerfacecolor=face, markersize=5, label=name)


def overlap_chart(scores: pd.DataFrame, methods: Sequence[str], labels: Sequence[str]) -> bytes:
    """Draw IoU accuracy against the required IoU, one panel per finding, with the baselines in grey."""
    columns = min(3, max(len(labels), 1))
    lines = -(-max(len(labels), 1) // columns)
    figure = Figure(figsize=(8.2, 0.5 + 2.3 * lines), dpi=DPI, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
    rows = rows_of(scores, "iou_accuracy")
    for axes, label in zip(panels, labels, strict=False):
        plain_axes(axes, "mean of findings" if label == MEAN_LABEL else cut(label, 30))
        _overlap_panel(axes, rows[rows["label"] == label], methods)
    for axes in panels[len(labels) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel("share of films", **FONT, color=INK)
    for axes in panels[max(len(labels) - columns, 0) : len(labels)]:
        axes.set_xlabel("required IoU", **FONT, color=INK)
    handles = {name: handle for axes in panels for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    if handles:
        legend: dict[str, Any] = {
            "loc": "outside lower center",
            "ncols": 5,
            "frameon": False,
            "prop": FONT,
            "labelcolor": INK,
        }
        figure.legend(handles.values(), handles.keys(), **legend)
    return png_of(figure)


def _overlap_panel(axes: Axes, rows: pd.DataFrame, methods: Sequence[str]) -> None:
    """Draw one finding's baselines, then each method with its two threshold sources."""
    for baseline, mark in MARKS.items():
        best = rows[(rows["method"] == baseline) & (rows["threshold_source"] != "oracle")]
        curve = best.groupby("criterion")["value"].max()
        if len(curve):
            _overlap_line(axes, curve, color=FAINT, marker=mark, linewidth=0.6, label=BASELINE_NAMES[baseline])
    for number, method in enumerate(methods):
        for source, line in (("validation", "-"), ("fixed", ":")):
            of_method = rows[(rows["method"] == method) & (rows["threshold_source"] == source)]
            if len(of_method):
                curve = of_method.set_index("criterion")["value"]
                style = {"color": COLOURS[number % len(COLOURS)], "linestyle": line, "linewidth": 1.6}
                _overlap_line(axes, curve, **style, label=f"{method}, {source}")


def _overlap_line(axes: Axes, curve: "pd.Series[float]", **style: Any) -> None:
    axes.plot(curve.index.to_numpy(dtype=float), curve.to_numpy(dtype=float), markersize=3, **style)
    axes.set_xticks(OVERLAP_CRITERIA)


def plain_axes(axes: Axes, title: str) -> None:
    """Set the title and a faint grid from 0 to 1; hide everything else."""
    axes.set_title(title, loc="left", color=INK, fontfamily=FONT["family"], fontsize=10, fontweight="bold")
    axes.set_ylim(-0.02, 1.02)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=FONT["size"], labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def cut(text: str, max_length: int = 28) -> str:
    """Shorten a name, and escape `$`, which matplotlib reads as mathematics."""
    shortened = text if len(text) <= max_length else text[: max_length - 1] + "…"
    return shortened.replace("$", r"\$")
