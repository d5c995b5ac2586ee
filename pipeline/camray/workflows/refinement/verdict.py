"""Whether self-training made the boxes of each finding more consistent, and what annotated test films say beside it.

Reads   both runs: ``ingest/ train/ localize/``, and ``score/scores.csv`` for information
Writes  ``refined/refined.csv refined.parquet`` of the second run
Run     ``camray refine runs/phantom``
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.digests import claim_of, digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.localization.confident_regions import Outcome
from camray.core.metrics.self_consistency import LEAST_ERRORS, LEAST_FILMS, judge
from camray.core.metrics.summary import HEADLINE_IOU
from camray.core.training.device import choose_device
from camray.domain.records import REFINED_COLUMNS, Counts, Split, StageResult
from camray.domain.spreadsheet_cells import with_formulas, without_formulas
from camray.io.artifacts import artifacts_of
from camray.io.ingested_films import read_ingested
from camray.io.mirrored_maps import POLICY
from camray.workflows.refinement.consistency import MEASURES, film_consistency

STAGE = "refined"
_READ = ("ingest", "train", "localize")


@dataclass(frozen=True)
class Verdict:
    """The table (`REFINED_COLUMNS`), where it is, and whether it existed before."""

    table: pd.DataFrame
    path: Path
    skipped: bool

    @property
    def sentence(self) -> str:
        """Say what is kept."""
        kept = self.table[self.table["kept"]]
        rule = f"its consistency on validation films must rise by {LEAST_ERRORS:g} standard errors"
        if kept.empty:
            return f"not kept: no finding's boxes are more consistent than before ({rule}); use {_names(self.table)}"
        if len(kept) == len(self.table):
            return f"kept for all findings ({rule}): use {_names(self.table)}"
        others = self.table[~self.table["kept"]]
        return (
            f"kept for {', '.join(kept['label'])} alone ({rule}): for these use the boxes of {_names(kept)}, "
            f"for {', '.join(others['label'])} those of {_names(others)}"
        )


def _names(rows: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(rows["use"]))


def judge_refinement(settings: Settings, folder: RunFolder, first: RunFolder, tracker: Tracker) -> Verdict:
    """Judge a finished refinement; a verdict that is up to date is not computed again.

    Parameters
    ----------
    settings : Settings
        Of the second run.
    folder, first : RunFolder
        The run after self-training, and the one before.
    tracker : Tracker
        Of the second run.
    """
    files = artifacts_of(folder).refined
    options = {"films": LEAST_FILMS, "errors": LEAST_ERRORS, "first": str(first.root)}
    inputs = {name: folder.output_digest(name) for name in _READ}
    inputs.update({f"teacher_{name}": first.output_digest(name) for name in _READ})
    digest = digest_of(options)
    with folder.locked():
        if folder.is_done(STAGE, digest, inputs):
            return Verdict(files.table.read(), files.table_csv, skipped=True)
        with tracker.stage(STAGE), folder.replacing(STAGE):
            folder.begin(STAGE, digest, inputs)
            started = time.monotonic()
            table = _compared(settings, folder, first)
            files.table.write(table)
            write_bytes(files.table_csv, without_formulas(table).to_csv(index=False, lineterminator="\n").encode())
            tracker.table(table, STAGE)
            tracker.artifact(files.table_csv, STAGE)
            tracker.metrics(_metrics(table))
            claim = claim_of(options, inputs)
            counts, figures = Counts(len(table), len(table)), {"kept": int(table["kept"].sum())}
            folder.finish(
                STAGE, {**claim, "seconds": round(time.monotonic() - started, 3)}, StageResult(counts, figures)
            )
    return Verdict(table, files.table_csv, skipped=False)


def _compared(settings: Settings, folder: RunFolder, first: RunFolder) -> pd.DataFrame:
    device, area = choose_device(settings.device), settings.localize.min_area
    measured = [film_consistency(each, area, device) for each in (first, folder)]
    films = measured[0].merge(measured[1], on=["image_id", "label"], suffixes=("_before", "_after"), validate="1:1")
    pairs, scores = artifacts_of(folder).train.teacher_pairs.read(), [_scores(each) for each in (first, folder)]
    rows = []
    for label in read_ingested(folder).contract.labels:
        shown = films[films["label"] == label]
        verdict = judge(*(shown[f"consistency_{when}"].to_numpy(np.float64) for when in ("before", "after")))
        names = [f"{name}_{when}" for name in (*MEASURES, "consistency") for when in ("before", "after")]
        is_used = pairs.loc[pairs["label"] == label, "outcome"] == Outcome.USED.value
        rows.append(
            {
                "label": label,
                "boxes_used": int(is_used.sum()),
                "boxes_refused": int((~is_used).sum()),
                "films": len(shown),
                **{name: float(shown[name].mean()) for name in names},
                "difference": verdict.difference,
                "standard_error": verdict.standard_error,
                "kept": verdict.is_kept,
                "reason": verdict.reason,
                "use": (folder if verdict.is_kept else first).root.name,
                **_informed(scores, label),
            }
        )
    return pd.DataFrame(rows, columns=list(REFINED_COLUMNS))


def _scores(folder: RunFolder) -> pd.DataFrame:
    """Return the test scores of a run: of the classifier, and of boxes from image labels alone; for information."""
    path = artifacts_of(folder).score.scores
    if not folder.is_current("score") or not path.is_file():
        return pd.DataFrame(columns=["label", "metric", "value", "n"])
    table = with_formulas(pd.read_csv(path))
    table = table[table["split"] == Split.TEST.value]
    named = f"cam:{POLICY}"  # where another fixed policy is the main one
    method = named if (table["method"] == named).any() else "cam"
    boxes = table[(table["method"] == method) & (table["threshold_source"] == "fixed")]
    is_shown = (boxes["metric"] == "hit_rate") | (
        (boxes["metric"] == "iou_accuracy") & np.isclose(boxes["criterion"], HEADLINE_IOU)
    )
    return pd.concat([boxes[is_shown], table[(table["method"] == "classifier") & (table["metric"] == "auroc")]])


def _informed(scores: list[pd.DataFrame], label: str) -> dict[str, float | int]:
    values: dict[str, float | int] = {"annotated": 0}
    for when, table in zip(("before", "after"), scores, strict=True):
        for metric in ("hit_rate", "iou_accuracy", "auroc"):
            rows = table[(table["label"] == label) & (table["metric"] == metric)]
            values[f"{metric}_{when}"] = float(rows["value"].iloc[0]) if len(rows) else float("nan")
            if metric == "hit_rate" and len(rows):
                values["annotated"] = int(rows["n"].iloc[0])
    return values


def _metrics(table: pd.DataFrame) -> dict[str, float]:
    figures: dict[str, float] = {"refined/kept": float(table["kept"].sum())}
    rows: list[dict[Any, Any]] = table.to_dict("records")
    for row in rows:
        for name in ("consistency_before", "consistency_after", "difference", "standard_error"):
            if np.isfinite(row[name]):
                figures[f"refined/{row['label']}/{name}"] = float(row[name])
    return figures
