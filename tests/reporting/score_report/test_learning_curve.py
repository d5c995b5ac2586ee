"""The learning curve: which numbers are drawn where."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from camray.domain.records import EPOCH_COLUMNS
from camray.reporting.score_report import learning_curve as drawing
from camray.reporting.score_report.learning_curve import learning_curve

ROWS = [
    ("pretext", 1, "loss", "", 9.0),
    ("pretext", 1, "auroc", "mean", 0.9),
    ("member-0", 1, "loss", "", 0.7),
    ("member-0", 1, "learning_rate", "", 0.01),
    ("member-0", 1, "auroc", "mean", 0.6),
    ("member-0", 1, "auroc", "Mass", 0.1),
    ("member-0", 2, "loss", "", 0.5),
    ("member-0", 2, "auroc", "mean", 0.8),
    ("member-1", 1, "loss", "", 3.0),
    ("member-1", 1, "auroc", "mean", float("nan")),
]


def test_each_member_has_a_line_of_loss_and_one_of_mean_auroc(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(drawing, "png_of", lambda figure: drawn.append(figure) or b"png")
    assert learning_curve(pd.DataFrame(ROWS, columns=list(EPOCH_COLUMNS))) == b"png"
    loss, auroc = drawn[0].axes
    assert [line.get_xydata().tolist() for line in loss.lines] == [[[1, 0.7], [2, 0.5]], [[1, 3.0]]]
    assert auroc.lines[0].get_xydata().tolist() == [[1, 0.6], [2, 0.8]]
    assert len(auroc.lines) == 2
    assert loss.get_ylim()[1] > 3


def test_without_epochs_there_is_no_curve_and_equal_epochs_give_equal_bytes() -> None:
    table = pd.DataFrame(ROWS, columns=list(EPOCH_COLUMNS))
    assert learning_curve(table[table["part"] == "pretext"]) is None
    assert learning_curve(table[:0]) is None
    assert learning_curve(table) == learning_curve(table.copy())
