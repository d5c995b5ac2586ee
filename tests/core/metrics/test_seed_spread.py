"""Mean and spread over seeds, by hand; nothing is chosen."""

import numpy as np
import pandas as pd
import pytest

from camray.core.metrics.seed_spread import spread_of
from camray.domain.records import SCORE_COLUMNS


def _scores(auroc: float, hit: float) -> pd.DataFrame:
    rows = [
        ("test", "classifier", "A", "auroc", np.nan, "", auroc, 0.1, 0.9, 30),
        ("test", "cam", "A", "iou_accuracy", 0.3, "fixed", hit, 0.1, 0.9, 12),
    ]
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS)).astype(SCORE_COLUMNS)


def test_mean_and_sample_deviation_of_every_row() -> None:
    found = spread_of({3: _scores(0.9, np.nan), 1: _scores(0.7, 0.5), 2: _scores(0.8, 0.25)})
    assert found["mean"].tolist() == pytest.approx([0.8, 0.375])
    assert found["sd"].tolist() == pytest.approx([0.1, np.sqrt(2 * 0.125**2)])
    assert found[["low", "high"]].to_numpy().tolist() == [[0.7, 0.9], [0.25, 0.5]]
    assert found["seeds"].tolist() == [3, 2]
    assert found["n"].tolist() == [30, 12]
    assert found[["seed_1", "seed_2", "seed_3"]].to_numpy()[0].tolist() == [0.7, 0.8, 0.9]


def test_the_order_of_the_seeds_does_not_matter_and_no_seed_is_marked() -> None:
    one, other = _scores(0.9, 0.1), _scores(0.7, 0.5)
    found = spread_of({1: one, 2: other})
    assert found.equals(spread_of({2: other, 1: one}))
    assert not any("best" in column for column in found.columns)


def test_a_table_read_back_from_csv_gives_the_same(tmp_path) -> None:
    tables = {1: _scores(0.9, 0.1), 2: _scores(0.7, 0.5)}
    back = {}
    for seed, table in tables.items():
        table.to_csv(tmp_path / "s.csv", index=False)
        back[seed] = pd.read_csv(tmp_path / "s.csv")
    assert spread_of(back)["mean"].tolist() == spread_of(tables)["mean"].tolist()


def test_one_seed_has_no_spread() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        spread_of({1: _scores(0.5, 0.5)})
