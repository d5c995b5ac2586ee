"""Paired comparison of two runs on the same films, with patients kept together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from camray.core.metrics.bootstrap import (
    CHUNK_WEIGHTS,
    WIDTHLESS,
    Bootstrap,
    PatientSums,
    mean_of_defined,
    percentile_intervals,
    sums_by_patient,
)
from camray.core.metrics.delong import auroc_difference
from camray.core.metrics.localization.annotated_films import FloatArray, IntArray, Measure
from camray.core.metrics.score_table import LabelLogits
from camray.core.metrics.statistics import MEAN_LABEL

DIFF_COLUMNS = {
    "label": "string",
    "metric": "string",
    "criterion": "float64",
    "first": "float64",
    "second": "float64",
    "difference": "float64",  # second minus first
    "low": "float64",
    "high": "float64",
    "p": "float64",  # two-sided, not corrected for the number of rows
    "test": "string",  # DeLong or sign flips
    "n": "int64",  # films; labels in the rows of the mean
}


@dataclass(frozen=True)
class PairedValues:
    """One label's annotated films with what two runs scored on each.

    Parameters
    ----------
    patients : ndarray of shape (N,), int64
        Patient number of each film.
    first, second : mapping
        Metric and criterion to values of shape (N,); the same keys in both.
    """

    patients: IntArray
    first: Mapping[Measure, FloatArray]
    second: Mapping[Measure, FloatArray]


def paired_classification(
    first: Mapping[str, LabelLogits], second: Mapping[str, LabelLogits], confidence: float
) -> pd.DataFrame:
    """Compare AUROC label by label with DeLong's paired test.

    Parameters
    ----------
    first, second : mapping
        Label to films of known presence; the same films in the same order in both.
    confidence : float
        Of the intervals, 0-1.

    Returns
    -------
    DataFrame
        `DIFF_COLUMNS`.
    """
    rows = []
    for label, known in first.items():
        difference = auroc_difference(known.logits, second[label].logits, known.present, known.patients, confidence)
        values = (
            difference.first,
            difference.second,
            difference.difference,
            difference.low,
            difference.high,
            difference.p,
        )
        rows.append((label, "auroc", np.nan, *values, "DeLong", len(known.logits)))
    return pd.DataFrame(rows, columns=list(DIFF_COLUMNS)).astype(DIFF_COLUMNS)


def paired_localization(labels: Mapping[str, PairedValues], n_patients: int, bootstrap: Bootstrap) -> pd.DataFrame:
    """Compare per-film values label by label, and their mean over labels, patient by patient.

    Intervals are a paired bootstrap's. The test flips signs: were the runs alike, each patient's difference could as
    well have the other sign. It holds its level with few patients too, where the bootstrap's own p does not: five
    patients who all agree give 2 / 32, and a single one gives 1.

    Parameters
    ----------
    labels : mapping
        Label to both runs' values.
    n_patients : int
        Patients that are resampled: all of the shared films, annotated or not.
    bootstrap : Bootstrap
        Of the intervals; its resamples are also the number of sign flips. Each resample draws the same patients for
        both runs.

    Returns
    -------
    DataFrame
        `DIFF_COLUMNS`. The smallest p that R resamples can give is 1 / (R + 1). A difference that is the same in all
        resamples, and not 0, has no interval.
    """
    keys = [(label, measure) for label, values in labels.items() for measure in values.first]
    if not keys:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in DIFF_COLUMNS.items()})
    groups: dict[Measure, list[int]] = {}
    for number, (_, measure) in enumerate(keys):
        groups.setdefault(measure, []).append(number)
    sums = {label: _sums(values) for label, values in labels.items()}

    def evaluate(counts: FloatArray) -> FloatArray:
        """Return both runs' means, [R, 2, keys and groups]."""
        by_label = [sums[label].means(counts).reshape(len(counts), 2, -1) for label in labels]
        by_key = np.concatenate(by_label, axis=2)
        means = [mean_of_defined(by_key[:, :, members]) for members in groups.values()]
        return np.concatenate([by_key, np.stack(means, axis=2)], axis=2)

    value = evaluate(np.ones((1, n_patients)))[0]
    drawn = bootstrap.draws(evaluate, n_patients)
    low, high = percentile_intervals(drawn[:, 1] - drawn[:, 0], bootstrap.confidence)
    widthless = (high - low <= WIDTHLESS) & (np.abs(value[1] - value[0]) > WIDTHLESS)
    low[widthless], high[widthless] = np.nan, np.nan
    names = [*keys, *((MEAN_LABEL, measure) for measure in groups)]
    counted = [len(labels[label].patients) for label, _ in keys] + [len(members) for members in groups.values()]
    table = pd.DataFrame(
        {
            "label": [label for label, _ in names],
            "metric": [metric for _, (metric, _) in names],
            "criterion": [np.nan if criterion is None else criterion for _, (_, criterion) in names],
            "first": value[0],
            "second": value[1],
            "difference": value[1] - value[0],
            "low": low,
            "high": high,
            "p": _p_of_sign_flips(_differences(labels, list(groups.values()), n_patients), bootstrap),
            "test": "sign flips",
            "n": counted,
        }
    )
    return table.astype(DIFF_COLUMNS)


def _sums(values: PairedValues) -> PatientSums:
    """Add up by patient the first run's measures, then the second's: columns 2 x measures."""
    columns = [*values.first.values(), *(values.second[measure] for measure in values.first)]
    return PatientSums(np.stack(columns, axis=1), values.patients)


def _differences(labels: Mapping[str, PairedValues], groups: Sequence[Sequence[int]], n_patients: int) -> FloatArray:
    """Return what each patient adds to the differences of the means, [P, keys and groups]."""
    each = [
        sums_by_patient(
            np.stack([values.second[measure] - first_values for measure, first_values in values.first.items()], axis=1),
            values.patients,
            n_patients,
        )
        / max(len(values.patients), 1)
        for values in labels.values()
    ]
    by_key = np.concatenate(each, axis=1)
    return np.concatenate([by_key, np.stack([by_key[:, members].mean(axis=1) for members in groups], axis=1)], axis=1)


def _p_of_sign_flips(differences: FloatArray, bootstrap: Bootstrap) -> FloatArray:
    """Two-sided p of sums over patients [P, K]: the share of flips (and the signs as they are) that go as far; [K]."""
    flips = bootstrap.resamples
    if not flips:
        return np.full(differences.shape[1], np.nan)
    nonzero = differences[(differences != 0).any(axis=1)]
    observed = np.abs(nonzero.sum(axis=0)) - WIDTHLESS
    rng, as_far = np.random.default_rng(bootstrap.seed), np.ones(differences.shape[1])
    most = max(CHUNK_WEIGHTS // max(len(nonzero), 1), 1)
    for first in range(0, flips, most):
        signs = rng.choice(np.array([-1.0, 1.0]), size=(min(most, flips - first), len(nonzero)))
        as_far += (np.abs(signs @ nonzero) >= observed).sum(axis=0)
    return np.asarray(as_far / (flips + 1))
