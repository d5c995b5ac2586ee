"""Charts of the map checks as PNG bytes: one small panel per method."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from camray.core.metrics.localization.baselines import RANDOM
from camray.reporting.score_report.charts import COLOURS, DPI, FAINT, FONT, GRID, INK, png_of

_COLUMNS = 4
_MEASURES = {"rank": "rank correlation, signed", "rank_abs": "rank correlation, absolute", "ssim": "SSIM, absolute"}
_SMALL = {**FONT, "size": 7}


def curves_chart(curves: pd.DataFrame, table: pd.DataFrame) -> bytes:
    """Draw deletion and insertion curves, one panel per method; each also has a random map's curves in grey.

    Parameters
    ----------
    curves : DataFrame
        `CURVE_COLUMNS`.
    table : DataFrame
        `SANITY_COLUMNS`, for the areas in the titles.
    """
    methods = [name for name in curves["method"].unique() if name != RANDOM]
    figure, panels = _panels(methods, "Probability of the label as cells are deleted or inserted, hottest first")
    at_random = curves[curves["method"] == RANDOM]
    areas = table.set_index("method")
    for axes, method in zip(panels, methods, strict=False):
        for rows, colours, width, prefix in (
            (at_random, (FAINT, FAINT), 1.0, "random map, "),
            (curves[curves["method"] == method], (COLOURS[1], COLOURS[0]), 1.6, ""),
        ):
            for kind, colour, style in zip(("deletion", "insertion"), colours, ("-", "--"), strict=True):
                part = rows[rows["kind"] == kind]
                axes.plot(part["fraction"], part["probability"], style, color=colour, lw=width, label=f"{prefix}{kind}")
        row = areas.loc[method]
        title = f"{method}\ndel {row['deletion_auc']:.2f}  ins {row['insertion_auc']:.2f}  n {row['films']}"
        _plain(axes, title, -0.02)
        axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    _end(figure, panels, len(methods), "fraction of the cells", "probability")
    return png_of(figure)


def cascade_chart(cascades: pd.DataFrame) -> bytes:
    """Draw agreement with the original map as layers are randomised from the head down, one panel per method.

    Parameters
    ----------
    cascades : DataFrame
        `CASCADE_COLUMNS`.
    """
    methods = list(cascades["method"].unique())
    figure, panels = _panels(
        methods, "Agreement with the map of the trained network as more and more layers are randomised"
    )
    for axes, method in zip(panels, methods, strict=False):
        of_method = cascades[cascades["method"] == method]
        for (measure, name), colour in zip(_MEASURES.items(), (COLOURS[0], COLOURS[1], FAINT), strict=True):
            part = of_method[of_method["measure"] == measure]
            steps, values = [0, *part["step"]], [1.0, *part["value"]]
            axes.plot(
                steps,
                values,
                "-" if measure != "rank_abs" else "--",
                color=colour,
                lw=1.4,
                marker=".",
                ms=3,
                label=name,
            )
        _plain(axes, f"{method}\nn {of_method['films'].max()}", -0.55)
        axes.axhline(0, color=FAINT, lw=0.8)
        blocks = of_method.drop_duplicates("step")["block"]
        axes.set_xticks(range(len(blocks) + 1), ["none", *map(_short, blocks)], rotation=90)
    _end(figure, panels, len(methods), "", "agreement")
    return png_of(figure)


def _panels(methods: Sequence[str], title: str) -> tuple[Figure, list[Axes]]:
    lines = -(-max(len(methods), 1) // _COLUMNS)
    figure = Figure(figsize=(9.6, 1.1 + 1.85 * lines), dpi=DPI, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontfamily=FONT["family"], fontsize=10, fontweight="bold")
    return figure, list(figure.subplots(lines, _COLUMNS, squeeze=False, sharex=True, sharey=True).ravel())


def _plain(axes: Axes, title: str, low: float) -> None:
    axes.set_title(title, loc="left", color=INK, fontfamily=FONT["family"], fontsize=8)
    axes.set_ylim(low, 1.02)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=_SMALL["size"], labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _end(figure: Figure, panels: list[Axes], count: int, x_name: str, y_name: str) -> None:
    for axes in panels[count:]:
        axes.set_visible(False)
    for axes in panels[max(count - _COLUMNS, 0) : count]:
        axes.set_xlabel(x_name, **_SMALL, color=INK)
        axes.tick_params(labelbottom=True)
    for axes in panels[::_COLUMNS]:
        axes.set_ylabel(y_name, **_SMALL, color=INK)
    if count:
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False, prop=FONT, labelcolor=INK)


def _short(block: str) -> str:
    """Return the part of a block's name that differs from the others."""
    first = block.partition(" to ")[0]
    return first.removeprefix("backbone.").removesuffix(".0")[-18:].replace("$", r"\$")
