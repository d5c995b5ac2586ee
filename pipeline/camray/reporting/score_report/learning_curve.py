"""Drawing of the learning curve: training loss and validation AUROC of each epoch, as PNG bytes."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from camray.core.metrics.statistics import MEAN_LABEL
from camray.reporting.score_report.charts import COLOURS, DPI, FONT, INK, plain_axes, png_of

PRETEXT = "pretext"  # of the part before the findings are learnt, whose loss is another one


def learning_curve(epochs: pd.DataFrame) -> bytes | None:
    """Draw the loss on the training films and the mean AUROC on the validation films, a line per network.

    Parameters
    ----------
    epochs : DataFrame
        `EPOCH_COLUMNS`.

    Returns
    -------
    bytes or None
        PNG; None where there is no epoch but those of the pretext.
    """
    epochs = epochs[epochs["part"] != PRETEXT]
    loss, auroc = epochs[epochs["metric"] == "loss"], epochs[epochs["metric"] == "auroc"]
    if loss.empty:
        return None
    figure = Figure(figsize=(8.2, 2.8), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    _panel(left, loss, "Loss on training films")
    left.set_ylim(auto=True)
    left.autoscale(axis="y")
    _panel(right, auroc[auroc["label"] == MEAN_LABEL], "Mean AUROC on validation films")
    return png_of(figure)


def _panel(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    plain_axes(axes, title)
    axes.set_xlabel("epoch", **FONT, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for number, (_, part) in enumerate(rows.groupby("part", sort=True)):
        x, y = part["epoch"].to_numpy(dtype=float), part["value"].to_numpy(dtype=float)
        axes.plot(x, y, marker="o", markersize=3, linewidth=1.6, color=COLOURS[number % len(COLOURS)])
