"""Results of each film, as all exports state them.

Reads   ``ingest/``, ``explain/``, ``localize/``, and ``train/`` of the run that owns the network
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from math import isnan

import pandas as pd

from camray.adapters.export_formats import BOX_COLUMNS
from camray.adapters.run_folders.digests import code_version
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.settings.schema import Settings
from camray.domain.errors import ExportError
from camray.domain.film_results import Algorithm, FilmResult, FindingResult, ScoredBox, on_export_grid
from camray.domain.geometry import Box
from camray.domain.labels import Finding
from camray.domain.records import CORNERS
from camray.io.artifacts import artifacts_of
from camray.io.explained_run import ExplainedRun
from camray.io.film_verdicts import not_judged_table
from camray.io.ingested_films import IngestedFilm


def exported_films(run: ExplainedRun, splits: Collection[str]) -> list[str]:
    """Return the explained films of some splits, sorted."""
    films = run.explained
    return sorted(films["image_id"][films["split"].isin(splits)])


def exported_boxes(run: ExplainedRun, image_ids: Sequence[str], *, everything: bool) -> pd.DataFrame:
    """Return the boxes of some films as the tables for other tools list them.

    Parameters
    ----------
    run : ExplainedRun
        The run; its default method and thresholds are taken.
    image_ids : sequence of str
        Films.
    everything : bool
        Also boxes of findings that are not reported.

    Returns
    -------
    DataFrame
        `BOX_COLUMNS`, by film, label and rank.
    """
    boxes = run.default_predictions.dropna(subset=CORNERS)
    boxes = boxes[boxes["image_id"].isin(image_ids)]
    if not everything:
        boxes = boxes[boxes["reported"]]
    sources = {label: str(threshold.source) for label, threshold in run.default_thresholds.items()}
    order = {label: number for number, label in enumerate(run.labels)}
    names = run.films.images.set_index("image_id")["source"]
    of_boxes = {"file": boxes["image_id"].map(names), "threshold_source": boxes["label"].map(sources)}
    boxes = boxes.assign(**of_boxes, _order=boxes["label"].map(order))
    return boxes.sort_values(["image_id", "_order", "rank"]).loc[:, list(BOX_COLUMNS)].reset_index(drop=True)


def film_results(run: ExplainedRun, image_ids: Sequence[str], settings: Settings) -> dict[str, FilmResult]:
    """Return the results of some films, in their order.

    Raises
    ------
    ExportError
        If the run that owns the network has no weights to identify it by.
    """
    algorithm = _algorithm(run, settings)
    report = settings.localize.report
    not_judged = not_judged_table(run, report)
    ranked = run.default_predictions.sort_values("rank")
    groups = {key: rows for key, rows in ranked.groupby(["image_id", "label"], observed=True)}
    results = {}
    for image_id in image_ids:
        film = run.films.film(image_id)
        findings = [
            replace(
                _finding_result(run, finding, groups[image_id, finding.name], film, report),
                not_judged=str(not_judged.at[image_id, finding.name]),
            )
            for finding in run.findings
            if (image_id, finding.name) in groups
        ]
        results[image_id] = FilmResult(image_id, film.rows, film.cols, film.laterality, tuple(findings), algorithm)
    return results


def localized_at(run: ExplainedRun) -> datetime:
    """Return when the boxes of a run were drawn, whole seconds, with its distance from UTC: a copied run has the same.

    Runs of early versions have no time in their record; theirs is that of the table's last change.
    """
    record, table = run.folder.record("localize") or {}, run.artifacts.localize.predictions.path
    with suppress(KeyError, TypeError, ValueError):
        recorded = datetime.fromisoformat(record["finished_at"])
        if recorded.tzinfo is not None:
            return recorded.replace(microsecond=0)
    with suppress(KeyError, TypeError, ValueError, OverflowError):
        return datetime.fromtimestamp(int(record["files"][table.name][1]) // 10**9)
    return datetime.fromtimestamp(int(table.stat().st_mtime))


def _finding_result(
    run: ExplainedRun, finding: Finding, rows: pd.DataFrame, film: IngestedFilm, report: str
) -> FindingResult:
    first, boxes = rows.iloc[0], []
    is_reported = report == "all" or bool(first["reported"])
    for row in rows.dropna(subset=CORNERS).to_dict("records") if is_reported else []:
        box = on_export_grid(Box(*(float(row[side]) for side in CORNERS)), film.rows, film.cols)
        if box is not None:
            boxes.append(ScoredBox(box, float(row["score"]), str(row["zone"] or "")))
    probability, cutoff = float(first["probability"]), run.thresholds.probability_cutoff(finding.name, report)
    return FindingResult(
        finding=finding,
        probability=None if isnan(probability) else probability,
        cutoff=None if isnan(cutoff) else cutoff,
        is_reported=is_reported,
        boxes=tuple(boxes),
        threshold_source=str(run.default_thresholds[finding.name].source),
        no_probability=run.thresholds.calibration_of(finding.name).reason,
    )


def _algorithm(run: ExplainedRun, settings: Settings) -> Algorithm:
    model_run = run.folder.model_run
    files = artifacts_of(model_run)
    trained, weights = model_run.record("train") or {}, files.train.weights
    digest = trained.get("outputs", {}).get(weights.name)
    if digest is None and not weights.is_file():
        raise ExportError(f"{weights}: no weights; DICOM objects must state which model made them: train first")
    localized = run.folder.record("localize") or {}
    return Algorithm(
        name=settings.name,
        version=str(localized.get("code_version") or code_version()),
        model_digest=str(digest or file_digest(weights)),
        threshold_digest=file_digest(files.localize.thresholds.path),
        method=run.default_method,
    )
