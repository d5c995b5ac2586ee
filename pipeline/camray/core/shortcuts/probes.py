"""Shortcut probes: how well trivial features predict labels; and figures that describe a data set.

A label that a grey-level histogram, the film's border, the scanner or the patient's age predict well can be learnt
without looking for a lesion; a network trained on it may score well and localize nothing (Zech et al., PLoS Medicine
2018; DeGrave et al., Nature Machine Intelligence 2021).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.cohort.patient_splits import assign_by_patient
from camray.core.metrics.auroc import weighted_auroc
from camray.core.metrics.logistic_regression import fit_logistic

FOLDS = 5
WARNING_AUC = 0.75
MIN_FILMS_OF_A_KIND = 10  # with fewer, an AUC says next to nothing
MAX_FILMS = 8_000
SPREAD = (0.0, 0.05, 0.5, 0.95, 1.0)


@dataclass(frozen=True)
class Probe:
    """How well one kind of trivial feature predicts one label.

    Parameters
    ----------
    label, features : str
        What is predicted, and from what.
    auc : float or None
        Mean over the folds; None where it could not be measured.
    n, n_present : int
        Films that say whether the label is present, and those where it is.
    skipped : str
        Why `auc` is None; empty otherwise.
    """

    label: str
    features: str
    auc: float | None
    n: int
    n_present: int
    skipped: str = ""

    @property
    def is_shortcut(self) -> bool:
        """Return whether the trivial features predict the label better than they should."""
        return self.auc is not None and self.auc > WARNING_AUC


def _folds(target: NDArray[np.bool_], patients: Sequence[str], seed: int) -> NDArray[np.int64] | str:
    """Deal films to folds, or say why there are too few."""
    for kind, value in (("present", True), ("absent", False)):
        films = np.flatnonzero(target == value)
        if films.size < MIN_FILMS_OF_A_KIND or len({patients[int(i)] for i in films}) < FOLDS:
            return f"only {films.size} film(s) with the label {kind}"
    return assign_by_patient(patients, [str(int(t)) for t in target], [1.0] * FOLDS, seed)


def _auc_over(
    fold: NDArray[np.int64], features: NDArray[np.float32], target: NDArray[np.bool_], counts: NDArray[np.float64]
) -> tuple[float | None, str]:
    aucs = []
    for held_out in range(FOLDS):
        fit, test = fold != held_out, fold == held_out
        if len(np.unique(target[fit])) < 2 or len(np.unique(target[test])) < 2:
            continue
        logits = fit_logistic(features[fit], target[fit], counts[fit]).logits(features[test])
        aucs.append(weighted_auroc(counts[None, test], logits, target[test])[0])
    return (float(np.mean(aucs)), "") if aucs else (None, "no fold holds both kinds")


def probe_logits(
    features: Mapping[str, NDArray[np.float32]], values: NDArray[np.int8], is_training: NDArray[np.bool_], seed: int
) -> NDArray[np.float32]:
    """Fit every probe on the training films, and predict all others: trivial baselines of the classifier.

    Parameters
    ----------
    features : mapping of str to ndarray of shape (films, D), float32
        By kind.
    values : ndarray of shape (films, labels), int8
        1 present, 0 absent, anything else is left out of the fit.
    is_training : ndarray of shape (films,), bool
        The films that may be learnt from.
    seed : int
        Picks `MAX_FILMS` training films where there are more.

    Returns
    -------
    ndarray of shape (kinds, films, labels), float32
        Logits; NaN for training films, and where too few of them tell a label.
    """
    films, labels = values.shape
    logits = np.full((len(features), films, labels), np.nan, np.float32)
    others = np.flatnonzero(~is_training)
    for column in range(labels):
        labelled = np.flatnonzero(is_training & np.isin(values[:, column], (0, 1)))
        if labelled.size > MAX_FILMS:
            labelled = np.sort(np.random.default_rng(seed).choice(labelled, MAX_FILMS, replace=False))
        target = values[labelled, column] == 1
        if min(target.sum(), (~target).sum()) < MIN_FILMS_OF_A_KIND or others.size == 0:
            continue
        for kind, table in enumerate(features.values()):
            logits[kind, others, column] = fit_logistic(table[labelled], target).logits(table[others])
    return logits


def run_probes(
    features: Mapping[str, NDArray[np.float32]],
    values: NDArray[np.int8],
    labels: Sequence[str],
    patients: Sequence[str],
    seed: int,
    weights: NDArray[np.float32] | None = None,
) -> list[Probe]:
    """Probe each label with each kind of features.

    Parameters
    ----------
    features : mapping of str to ndarray of shape (films, D), float32
        By kind.
    values : ndarray of shape (films, labels), int8
        1 present, 0 absent, anything else is left out.
    labels : sequence of str
        Names of the columns of `values`.
    patients : sequence of str
        Of each film.
    seed : int
        Deals patients to folds, and picks `MAX_FILMS` films where there are more.
    weights : ndarray of shape (films, labels), float32, optional
        How much each film counts for a label, in the fit and in the AUROC; films of weight 0 are left out.

    Returns
    -------
    list of Probe
        Label by label, with its AUROC or the reason for none.
    """
    probes = []
    for column, label in enumerate(labels):
        counts = np.ones(len(values)) if weights is None else weights[:, column].astype(np.float64)
        labelled = np.flatnonzero(np.isin(values[:, column], (0, 1)) & (counts > 0))
        if labelled.size > MAX_FILMS:
            labelled = np.sort(np.random.default_rng(seed).choice(labelled, MAX_FILMS, replace=False))
        target = values[labelled, column] == 1
        fold = _folds(target, [patients[int(i)] for i in labelled], seed)
        for kind, table in features.items():
            auc, skipped = (
                (None, fold) if isinstance(fold, str) else _auc_over(fold, table[labelled], target, counts[labelled])
            )
            rounded = None if auc is None else round(auc, 4)
            probes.append(Probe(label, kind, rounded, int(labelled.size), int(target.sum()), skipped))
    return probes


def with_any_finding(values: NDArray[np.int8]) -> NDArray[np.int8]:
    """Append a column that tells films with any label from those known to have none.

    Parameters
    ----------
    values : ndarray of shape (films, labels), int8
        1 present, 0 absent, anything else is no information.

    Returns
    -------
    ndarray of shape (films, labels + 1), int8
        The last column is 1 where any label is present, 0 where all are absent, else -1.
    """
    others = np.where((values == 0).all(axis=1), 0, -1)
    return np.column_stack([values, np.where((values == 1).any(axis=1), 1, others)]).astype(np.int8)


def describe(images: pd.DataFrame, values: NDArray[np.int8], labels: Sequence[str]) -> dict[str, Any]:
    """Count films by what is known of them, and give the spread of sizes and grey levels.

    Parameters
    ----------
    images : DataFrame
        Columns of the images table, and ``sex``, ``grey_mean``, ``grey_deviation``, ``grey_low``, ``grey_median``,
        ``grey_high``.
    values : ndarray of shape (films, labels), int8
        1 present, 0 absent, 2 uncertain, -1 no information.
    labels : sequence of str
        Names of the columns of `values`.

    Returns
    -------
    dict
        For ``audit.json``.
    """
    by_split = {
        split: {
            label: _count_values(values[(images["split"] == split).to_numpy()][:, i]) for i, label in enumerate(labels)
        }
        for split in sorted(images["split"].unique())
    }
    tags = ("split", "view", "sex", "laterality", "modality", "transfer_syntax", "photometric", "bits_stored")
    numbers = ["rows", "cols", "row_spacing_mm", "col_spacing_mm"]
    greys = ["grey_mean", "grey_deviation", "grey_low", "grey_median", "grey_high"]
    return {
        "films": len(images),
        "patients": int(images["patient_key"].nunique()),
        "patients_by_split": {str(k): int(v) for k, v in images.groupby("split")["patient_key"].nunique().items()},
        "labels": by_split,
        "films_by": {tag: _count_texts(images[tag]) for tag in (*tags, "spacing_source")},
        "spread": {name: _spread(images[name]) for name in (*numbers, *greys)},
    }


def warnings_of(probes: Sequence[Probe]) -> list[str]:
    """Put shortcuts into words."""
    return [
        f"{probe.label}: {probe.features} alone predicts it with AUC {probe.auc:.2f} (over {WARNING_AUC}); a network "
        "can learn this label without finding the lesion, so do not trust its AUROC without localization scores"
        for probe in probes
        if probe.is_shortcut
    ]


def one_class_labels(values: NDArray[np.int8] | NDArray[np.float32], labels: Sequence[str]) -> list[str]:
    """Name the labels that are never absent, or never present, with their counts.

    Parameters
    ----------
    values : ndarray of shape (films, labels)
        1 present, 0 absent, anything else, NaN too, is no information.
    labels : sequence of str
        Names of the columns.

    Returns
    -------
    list of str
        For instance ``Mass (0 present, 12 absent)``, in the order of `labels`.
    """
    counts = [
        (label, int((column == 1).sum()), int((column == 0).sum()))
        for label, column in zip(labels, values.T, strict=True)
    ]
    return [
        f"{label} ({present} present, {absent} absent)" for label, present, absent in counts if not (present and absent)
    ]


def one_class_note(named: Sequence[str]) -> dict[str, str]:
    """Return the note of a stage on labels of one class among its training films; empty without any."""
    what = "of one class among training films, so that nothing can be learnt of them and they have no AUROC"
    return {"note_one_class": f"labels {what}: {', '.join(named)}"} if named else {}


def probes_as_json(probes: Sequence[Probe]) -> list[dict[str, Any]]:
    """Return the probes for ``audit.json``."""
    return [{**asdict(probe), "warning": probe.is_shortcut} for probe in probes]


def _count_values(column: NDArray[np.int8]) -> dict[str, int]:
    names = {"present": 1, "absent": 0, "uncertain": 2, "no_information": -1}
    return {name: int((column == value).sum()) for name, value in names.items()}


def _count_texts(column: "pd.Series[Any]") -> dict[str, int]:
    texts = column.astype("string").fillna("").replace("", "(unknown)")
    return {str(k): int(v) for k, v in sorted(texts.value_counts().items(), key=lambda item: str(item[0]))}


def _spread(column: "pd.Series[Any]") -> dict[str, float | int]:
    numbers = column.dropna().to_numpy(np.float64)
    if numbers.size == 0:
        return {"n": 0}
    names = ("min", "p05", "median", "p95", "max")
    quantiles = {name: round(float(q), 5) for name, q in zip(names, np.quantile(numbers, SPREAD), strict=True)}
    return {"n": int(numbers.size), **quantiles}
