"""Charts of the ingest audit as PNG: AUC of the shortcut probes, and grey levels by label."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from camray.reporting.score_report.charts import png_of

MAX_CHARTED_LABELS = 6
_PLAIN_RGB, _WARNING_RGB = "#4878a8", "#c77700"


def probe_chart(probes: Sequence[Mapping[str, Any]]) -> bytes | None:
    """Draw the AUC of every probe that was measured; None where none was.

    Parameters
    ----------
    probes : sequence of mapping
        As in ``audit.json``.
    """
    measured = [probe for probe in probes if probe["auc"] is not None]
    if not measured:
        return None
    figure = Figure(figsize=(8, 0.6 + 0.24 * len(measured)), layout="constrained")
    axes = figure.subplots()
    heights = np.arange(len(measured))[::-1]
    colours = [_WARNING_RGB if probe["warning"] else _PLAIN_RGB for probe in measured]
    axes.barh(heights, [probe["auc"] for probe in measured], color=colours)
    axes.set_yticks(heights, [_plain(f"{probe['label']}: {probe['features']}") for probe in measured], fontsize=8)
    axes.axvline(0.5, color="#888", lw=0.8)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.8, len(measured) - 0.2)
    axes.set_xlabel("AUC")
    return png_of(figure)


def grey_chart(
    labels: Sequence[str], values: NDArray[np.int8], histograms: NDArray[np.float32], thumbnails: NDArray[np.float32]
) -> bytes | None:
    """Draw mean histograms with and without a label, and the difference of mean thumbnails.

    Parameters
    ----------
    labels : sequence of str
        The first `MAX_CHARTED_LABELS` that are both present and absent are drawn.
    values : ndarray of shape (films, labels), int8
        1 present, 0 absent.
    histograms : ndarray of shape (films, bins), float32
    thumbnails : ndarray of shape (films, 64), float32
        8 x 8 px, row by row.

    Returns
    -------
    bytes or None
        PNG; None where no label is both present and absent.
    """
    groups = [(label, values[:, i] == 1, values[:, i] == 0) for i, label in enumerate(labels[: values.shape[1]])]
    charted = [group for group in groups if group[1].any() and group[2].any()][:MAX_CHARTED_LABELS]
    if not charted:
        return None
    figure = Figure(figsize=(8, 2.0 * len(charted)), layout="constrained")
    grid = figure.subplots(len(charted), 2, squeeze=False, width_ratios=(3, 1))
    level = (np.arange(histograms.shape[1]) + 0.5) / histograms.shape[1]
    for (label, present, absent), (curves, difference) in zip(charted, grid, strict=True):
        curves.plot(level, histograms[present].mean(0), label="present", color=_WARNING_RGB)
        curves.plot(level, histograms[absent].mean(0), label="absent", color=_PLAIN_RGB)
        curves.set_title(_plain(label), fontsize=9)
        curves.legend(fontsize=7)
        mean_difference = (thumbnails[present].mean(0) - thumbnails[absent].mean(0)).reshape(8, 8)
        difference.imshow(mean_difference, cmap="RdBu_r", vmin=-0.2, vmax=0.2)
        difference.set_title("present - absent", fontsize=8)
        difference.set_axis_off()
    return png_of(figure)


def _plain(text: str) -> str:
    return text.replace("$", r"\$")  # matplotlib would read it as mathematics
