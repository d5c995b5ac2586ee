import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_calibration_error

from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.operating_points import (
    CalibrationErrorStatistic,
    calibration_statistics,
    classification_statistics,
    expected_calibration_error,
    fitted_temperature,
    operating_points,
)
from camray.core.metrics.score_table import LabelLogits
from camray.core.metrics.statistics import RatioStatistic, StatisticRow, statistics_table
from camray.core.probability.logistic import probabilities_of

NO_DRAWS = Bootstrap(0, 0.95, 1)
ROW = StatisticRow("a", "classifier", "classification/ece", None, "fixed", 4)


def test_operating_points_by_hand() -> None:
    logits = np.array([3.0, 2.0, 1.0, 0.0, -1.0])
    present = np.array([True, False, True, False, False])
    points = operating_points(logits, present)
    # at 1: sensitivity 1, specificity 2/3; at 3: 1/2 and 1
    assert points == {"_youden": 1.0, "_specificity_90": 3.0, "_sensitivity_90": 1.0}
    assert operating_points(logits, np.ones(5, bool)) == {}


def test_rows_by_hand() -> None:
    found = LabelLogits(np.arange(4), np.array([2.0, -1.0, 0.0, -3.0]), np.array([True, True, False, False]))
    beside = LabelLogits(np.arange(4), np.array([1.0, -2.0, -1.5, -3.0]), np.array([True, True, False, False]))
    table = statistics_table("test", 4, classification_statistics("a", found, beside, 0.95), Bootstrap(20, 0.95, 1))
    value = table[table.label == "a"].set_index(["metric", "threshold_source"]).value
    assert value["classification/sensitivity", "fixed"] == 0.5  # 2 is called; so is 0, at probability 0.5
    assert value["classification/specificity", "fixed"] == 0.5
    # on the films beside, 1 alone is the best point: sensitivity 1/2, specificity 1
    assert value["classification/sensitivity_youden", "validation"] == 0.5
    assert value["classification/specificity_youden", "validation"] == 1.0
    assert value["classification/auroc_delong", ""] == 0.75
    brier = ((probabilities_of(found.logits) - found.present) ** 2).mean()
    assert value["classification/brier", "fixed"] == pytest.approx(brier)
    assert {"classification/temperature", "classification/ece_scaled"} <= set(table.metric)
    # neither a mean of DeLong's rows nor a temperature has resamples that tell of any spread
    whole = table.set_index(["label", "metric"]).low
    assert np.isnan(whole["mean", "classification/auroc_delong"])
    assert np.isnan(whole["a", "classification/temperature"])
    assert np.isfinite(whole["a", "classification/auroc_delong"])
    alone = statistics_table("test", 4, classification_statistics("a", found, None, 0.95), Bootstrap(0, 0.95, 1))
    assert set(alone.threshold_source) == {"", "fixed"}
    assert (
        classification_statistics("a", LabelLogits(np.zeros(0, int), np.zeros(0), np.zeros(0, bool)), None, 0.95) == []
    )


def test_calibration_error_by_hand() -> None:
    # bins of 1/15: 0.5 and 0.5 share one (promised 0.5, came 1), 0.9 promises 0.1 too little, 0 is right
    probability, present = np.array([0.5, 0.5, 0.9, 0.0]), np.array([True, True, True, False])
    part = CalibrationErrorStatistic(ROW, np.arange(4), probability, present)
    np.testing.assert_allclose(part(np.ones((1, 4))), [[(2 * 0.5 + 0.1) / 4]])
    np.testing.assert_allclose(part(np.array([[0.0, 0, 1, 1]])), [[0.05]])


def test_rows_of_calibrated_probabilities_stand_beside_those_of_the_output() -> None:
    films = LabelLogits(np.arange(4), np.zeros(4), np.array([True, False, False, False]))
    table = statistics_table("test", 4, calibration_statistics("a", films, np.full(4, 0.25), "validation"), NO_DRAWS)
    value = table[table.label == "a"].set_index(["metric", "threshold_source"]).value
    assert value.to_dict() == {
        ("ece", "validation"): 0.0,
        ("brier", "validation"): pytest.approx((0.75**2 + 3 * 0.25**2) / 4),
        ("ece_uncalibrated", "fixed"): 0.25,  # promised 1/2, came 1/4
        ("brier_uncalibrated", "fixed"): 0.25,
    }
    assert expected_calibration_error(np.full(4, 0.25), films.present) == 0
    assert np.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, bool)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_calibration_error_equals_the_librarys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability, present = rng.random(60), rng.random(60) < 0.4
    ours = CalibrationErrorStatistic(ROW, np.arange(60), probability, present)(np.ones((1, 60)))[0, 0]
    theirs = binary_calibration_error(
        torch.tensor(probability), torch.tensor(present.astype(int)), n_bins=15, norm="l1"
    )
    assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_temperature_undoes_what_sharpened_the_logits() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 2, 20000)
    present = rng.random(20000) < probabilities_of(logits)
    assert fitted_temperature(3 * logits, present) == pytest.approx(3, rel=0.05)
    assert np.isnan(fitted_temperature(logits, np.ones(20000, bool)))
    ece = [
        CalibrationErrorStatistic(ROW, np.arange(20000), probabilities_of(scaled), present)(np.ones((1, 20000)))[0, 0]
        for scaled in (3 * logits, logits)
    ]
    assert ece[0] > 0.05 > 0.02 > ece[1]


def test_intervals_by_patient_cover_the_truth() -> None:
    # films of a patient agree, so that intervals by film would be too short
    rng, covered = np.random.default_rng(5), 0
    patients = np.repeat(np.arange(60), 4)
    row = StatisticRow("a", "cam", "x", None, "fixed", 240)
    for seed in range(150):
        chance = rng.beta(2, 3, 60)  # mean 0.4
        values = (rng.random(240) < chance[patients]).astype(float)[:, None]
        table = statistics_table(
            "test", 60, [RatioStatistic([row], patients, values, np.ones_like(values))], Bootstrap(300, 0.95, seed)
        )
        covered += bool(table.low[0] <= 0.4 <= table.high[0])
    assert 0.89 <= covered / 150 <= 0.99
