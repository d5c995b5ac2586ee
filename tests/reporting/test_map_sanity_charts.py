"""Charts of the map checks: the same bytes each time, and of methods without figures too."""

import numpy as np

from camray.core.map_sanity.deletion_insertion import Curves
from camray.core.map_sanity.method_figures import Cascade, MethodFigures
from camray.core.map_sanity.table import cascade_table, curve_table, sanity_table
from camray.reporting.map_sanity_charts import cascade_chart, curves_chart


def _figures(method: str) -> MethodFigures:
    curves = Curves(np.array([0.0, 0.5, 1.0]), np.array([[0.8, 0.4, 0.0], [np.nan] * 3]), np.ones((2, 3)))
    one, ranks = np.array([0.5, np.nan]), np.array([[0.5, np.nan], [0.1, 0.3]])
    cascade = Cascade(("head", "stem"), ranks, ranks, ranks)
    return MethodFigures(method, "", np.array([False, True]), curves, one, one, one, ranks, cascade, 4.0)


def _charts(*figures: MethodFigures) -> tuple[bytes, bytes]:
    return curves_chart(curve_table(figures), sanity_table(figures)), cascade_chart(cascade_table(figures))


def test_charts_are_the_same_each_time_and_tell_methods_apart() -> None:
    drawn = _charts(_figures("cam"))
    assert drawn == _charts(_figures("cam"))
    assert all(png.startswith(b"\x89PNG") for png in drawn)
    assert drawn != _charts(_figures("gradcam"))


def test_a_method_without_figures_leaves_empty_charts() -> None:
    assert all(png.startswith(b"\x89PNG") for png in _charts(MethodFigures("guided_backprop", "no ReLU")))
