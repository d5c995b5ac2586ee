"""Summary at the end of a run: headline scores, or the findings of films without labels.

Reads   ``score/scores.csv``, ``explain/images.parquet logits.npy grid.json``, ``localize/``, ``export/boxes.csv``
Writes  ``csv/<stage>-<table>.csv`` on request
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from camray.adapters.run_folders.package_marks import lacks_films
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.core.metrics.next_steps import TrainingFacts, next_steps
from camray.core.metrics.score_table import CLASSIFIER
from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import BaselineComparison, Estimate, baseline_name, headline, headline_rows
from camray.core.training.optimization import epochs_for
from camray.domain.contract import PACKAGED
from camray.domain.records import Split
from camray.domain.spreadsheet_cells import with_formulas
from camray.io.artifacts import artifacts_of
from camray.io.bootstrap import bootstrap_of
from camray.io.explained_run import open_explained_run
from camray.io.film_verdicts import not_judged_table
from camray.io.ingested_films import read_ingested

_NO_AUROC = "none: one class"


@dataclass(frozen=True)
class Findings:
    """Probabilities of a network on films.

    Parameters
    ----------
    films : int
        How many there are.
    labels : tuple of str
        Findings, in the network's order.
    rows : list of dict
        The films of the highest probabilities, highest first (of the highest logits where none is stated):
        ``image_id``, ``probabilities`` by label (None: none is stated), ``reported``, the labels that are,
        ``not_judged``, why by label that is neither reported nor denied, and ``boxes``, how many boxes were exported
        (None: boxes were not exported).
    not_judged : tuple of str
        Findings that are judged on no film.
    """

    films: int
    labels: tuple[str, ...]
    rows: list[dict[str, Any]]
    not_judged: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` says of them."""
        return {"films": self.films, "top_films": self.rows, "not_judged": self.not_judged}


def headline_texts(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the headline table of a scored run in short texts, row by row; empty where there is no number at all."""
    scores = _scores(folder)
    if scores is None or not np.isfinite(scores["value"].astype(float)).any():
        return []
    single = set(_one_class(scores))
    rows = [{str(key): value for key, value in row.items()} for row in headline(scores).to_dict("records")]
    for row in rows:
        if (row.get("split", scores["split"].iloc[0]), row["finding"]) in single:
            row["AUROC"] = _NO_AUROC
    return rows


def interval_title(settings: Settings) -> str:
    """Return what the intervals of the headline table are."""
    return bootstrap_of(settings.score).title


def plain_scores(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the headline of a scored run for programs: numbers, or None where undefined."""
    scores = _scores(folder)
    if scores is None:
        return []
    return [
        {
            "split": row.split,
            "finding": row.label,
            **_with_interval("auroc", row.auroc),
            "best_probe_auroc": None if row.auroc_probe is None else row.auroc_probe.value,
            **_with_baseline("hit_rate", row.hit_rate),
            **_with_baseline("iou_accuracy_0.3", row.iou_accuracy),
            **_with_interval("iou_accuracy_0.3_without_boxes", row.without_boxes),
        }
        for row in headline_rows(scores)
    ]


def next_steps_of(folder: RunFolder, settings: Settings) -> list[str]:
    """Say what is likely to help where boxes are not above the trivial baselines; see `next_steps`."""
    scores = _scores(folder)
    if scores is None or lacks_films(folder.model_run.root):  # advice on training
        return []
    films = read_ingested(folder.model_run)
    train, validation = films.split(Split.TRAIN), films.split(Split.VALIDATION)
    labels = films.labels[(films.labels["value"] == "1") & films.labels["image_id"].isin(train["image_id"])]
    films_per_epoch = min(settings.train.epoch_films or len(train), len(train))
    steps = max(1, films_per_epoch // settings.train.batch_size)
    epochs = epochs_for(settings.train.max_epochs, settings.train.min_steps, steps)
    facts = TrainingFacts(
        settings.model.weights is not None,
        PACKAGED[0],
        steps * epochs,
        {str(label): int(count) for label, count in labels["label"].value_counts().items()},
        int(films.boxes["image_id"].isin(validation["image_id"]).sum()),
        films.audit_warnings,
    )
    return next_steps(headline_rows(scores), facts)


def top_findings(folder: RunFolder, most: int, report: str) -> Findings | None:
    """Return the probabilities of the films with the highest ones; None where no boxes were drawn.

    Parameters
    ----------
    folder : RunFolder
        With ``localize`` done.
    most : int
        Films at most.
    report : {'judged', 'cutoff', 'all'}
        As `localize.report`: only of ``judged`` is anything not judged.
    """
    if folder.record("localize") is None:
        return None
    run = open_explained_run(folder)
    image_ids, labels = run.image_ids, run.labels
    probabilities = run.thresholds.probabilities(labels, run.logits)
    highest = [values.max(axis=1, initial=-np.inf) for values in (run.logits, np.nan_to_num(probabilities, nan=-1.0))]
    order = np.lexsort([-values for values in highest])[:most]
    boxes, predictions, reasons = _exported_boxes(folder), run.default_predictions, not_judged_table(run, report)
    files = dict(zip(run.films.images["image_id"], run.films.images["source"].astype(str), strict=True))
    of_films = predictions[predictions["reported"]].groupby("image_id")["label"].unique()
    rows = [
        {
            "image_id": image_ids[film],
            "file": files[image_ids[film]],
            "probabilities": {
                label: None if np.isnan(value) else float(value)
                for label, value in zip(labels, probabilities[film], strict=True)
            },
            "reported": [label for label in labels if label in of_films.get(image_ids[film], ())],
            "not_judged": {label: why for label, why in reasons.iloc[film].items() if why},
            "boxes": None if boxes is None else boxes.get(image_ids[film], 0),
        }
        for film in order
    ]
    silent = tuple(run.thresholds.not_judged) if report == "judged" else ()
    return Findings(len(image_ids), labels, rows, silent)


def write_csv_tables(folder: RunFolder) -> None:
    """Write every table of the run as ``csv/<stage>-<table>.csv``."""
    artifacts_of(folder).write_csv_tables()


def _scores(folder: RunFolder) -> pd.DataFrame | None:
    path = artifacts_of(folder).score.scores
    if not folder.is_current("score") or not path.is_file():  # of other maps: no result of this run
        return None
    scores = with_formulas(pd.read_csv(path))
    return scores if len(scores) else None


def _one_class(scores: pd.DataFrame) -> list[tuple[str, str]]:
    """List (split, label) of the classifier's AUROCs that are undefined although films with a known label are there."""
    rows = scores[(scores["metric"] == "auroc") & (scores["method"] == CLASSIFIER) & (scores["label"] != MEAN_LABEL)]
    rows = rows[rows["value"].isna() & (rows["n"] > 0)]
    return [(str(split), str(label)) for split, label in zip(rows["split"], rows["label"], strict=True)]


def _with_interval(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    values = (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _with_baseline(name: str, comparison: BaselineComparison) -> dict[str, Any]:
    ours, baseline = comparison.ours, comparison.baseline
    return {
        **_with_interval(name, ours),
        f"{name}_films": None if ours is None else ours.n,
        f"{name}_threshold_source": None if ours is None or ours.threshold_source == "nan" else ours.threshold_source,
        f"{name}_best_baseline": None if baseline is None else baseline.value,
        f"{name}_few_shot": None if comparison.few_shot is None else comparison.few_shot.value,
        f"{name}_best_baseline_name": None if baseline is None else baseline_name(baseline.method),
    }


def _exported_boxes(folder: RunFolder) -> dict[str, int] | None:
    path = artifacts_of(folder).export.boxes
    is_stale = folder.record("export") is not None and not folder.is_current("export")
    if is_stale or not path.is_file():
        return None
    counts = pd.read_csv(path, usecols=["image_id"], dtype=str)["image_id"].value_counts()
    return {str(image_id): int(count) for image_id, count in counts.items()}
