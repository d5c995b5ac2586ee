"""Scores of films, maps and boxes beside trivial baselines, with bootstrap intervals.

Reads   ``ingest/`` (films, labels, annotations), ``explain/`` (logits, maps), ``localize/`` (boxes, thresholds); the
        training and validation films of the trained run, and its network with ``score.few_shot``; the run's epochs
Writes  ``score/scores.csv report.html pictures/*.png``; ``segmentations-<split>.json`` with protocol ``chexlocalize``
Run     ``camray score configs/phantom.yaml``
"""

import numpy as np
import pandas as pd

from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.package_marks import lacks_films
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.metrics.group_summary import group_figures, group_lines, group_values
from camray.core.metrics.summary import finding_values, mean_figures
from camray.core.metrics.threshold_selection import thresholds_to_score
from camray.domain.records import SCORE_COLUMNS, Counts, Split, StageResult
from camray.domain.spreadsheet_cells import without_formulas
from camray.io.artifacts import ScoreFiles, artifacts_of
from camray.io.bootstrap import bootstrap_of
from camray.io.explained_run import ExplainedRun, is_explained, open_explained_run
from camray.io.ingested_films import IngestedFilms, read_ingested
from camray.io.split_films import SplitFilms, split_films
from camray.io.tracked_films import track_films
from camray.reporting.fonts import font_note
from camray.reporting.score_report.learning_curve import learning_curve
from camray.reporting.score_report.page import AboutRun, report_page
from camray.reporting.score_report.protocol_sections import protocols_without_rows
from camray.stages.score.few_shot import score_few_shot
from camray.stages.score.group_rows import group_rows
from camray.stages.score.label_scores import SplitScores, score_split, validation_levels
from camray.stages.score.protocol_inputs import ProtocolInputs
from camray.stages.score.protocols import protocol_rows
from camray.stages.score.report_head import report_head
from camray.stages.score.report_pictures import SplitPictures, is_chart, split_pictures

_LEARNING = "learning.png"


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Score all splits of ``score.splits``; see `camray.workflows.run`.

    Raises
    ------
    PipelineError
        If maps or boxes of a film are missing, or a threshold was chosen on a split that is to be scored and
        ``score.oracle`` is not set.
    """
    explained = open_explained_run(folder)
    trained = explained if folder.trained is None else _open_trained(folder)
    boxed = _films_with_training_boxes(folder, trained)
    annotated = set(explained.films.boxes["label"]) | (set() if boxed is None else set(boxed.boxes["label"]))
    labels = [label for label in explained.labels if label in annotated]
    nothing = np.zeros((0, 4))
    training = {label: nothing if boxed is None else boxed.training_fractions(label) for label in labels}
    validation = _validation_films(trained, labels)
    levels = {} if validation is None else validation_levels(validation, settings)
    chosen, oracle = explained.thresholds.boxes, settings.score.oracle
    uses = {split: thresholds_to_score(chosen, split, oracle) for split in settings.score.splits}
    films = {split: split_films(explained, split, labels, settings.score.resample == "film") for split in uses}
    few_shot = score_few_shot(films, validation, settings)
    scores, pictures = [], []
    silent: dict[str, str] = {}
    for split, of_split in films.items():
        results = few_shot.by_split.get(split)
        of_results = () if results is None else thresholds_to_score(few_shot.thresholds, split, oracle)
        inputs = ProtocolInputs(settings.score, of_split, [*uses[split], *of_results], training, validation, results)
        split_scores = score_split(inputs, levels)
        table = pd.concat([split_scores.table, protocol_rows(inputs), group_rows(inputs)], ignore_index=True)
        silent |= {
            f"{split}: {name}": why for name, why in protocols_without_rows(table, settings.score.protocols).items()
        }
        split_scores = SplitScores(table, split_scores.accuracy, split_scores.levels)
        pictures.append(split_pictures(inputs, split_scores, few_shot.notes))
        scores.append(table)
    files = explained.artifacts.score
    table = pd.concat(scores, ignore_index=True).astype(SCORE_COLUMNS)
    learning = _learning_curve(settings, folder)
    page = report_page(
        settings.name,
        [each.page for each in pictures],
        (*chosen, *few_shot.thresholds),
        bootstrap_of(settings.score),
        AboutRun(report_head(settings, explained), explained.films.audit_warnings, learning),
    )
    _write(files, table, pictures, learning)
    write_bytes(files.report_page, page.encode())
    _track(files, tracker)
    lines = group_lines(table)
    tracker.metrics(group_values(lines))
    tracker.run_metrics(finding_values(table))
    track_films(explained.films, [Split(name) for name in settings.score.splits], tracker)
    n_films = sum(each.page.films for each in pictures)
    note = font_note(explained.labels) if settings.score.pictures else ""
    notes = {"note_fonts": note} if note else {}
    return StageResult(
        Counts(n_films, n_films), {**mean_figures(table), **group_figures(lines), **few_shot.figures, **silent, **notes}
    )


def _open_trained(folder: RunFolder) -> ExplainedRun | None:
    return open_explained_run(folder.model_run) if is_explained(folder.model_run) else None


def _films_with_training_boxes(folder: RunFolder, trained: ExplainedRun | None) -> IngestedFilms | None:
    """Return the films of the run that owns the network; a model package has none."""
    if lacks_films(folder.model_run.root):
        return None
    return read_ingested(folder.model_run) if trained is None else trained.films


def _validation_films(trained: ExplainedRun | None, labels: list[str]) -> SplitFilms | None:
    """Return the validation films of the run that owns the network, if any were explained."""
    if trained is None or Split.VALIDATION not in set(trained.explained["split"]):
        return None
    return split_films(trained, Split.VALIDATION, labels)


def _learning_curve(settings: Settings, folder: RunFolder) -> bytes | None:
    """Draw the epochs of the run's own training; none for new films, or with pictures off."""
    epochs = artifacts_of(folder).train.epochs
    if folder.trained is not None or not settings.score.pictures or not epochs.is_file():
        return None
    return learning_curve(epochs.read())


def _write(files: ScoreFiles, table: pd.DataFrame, pictures: list[SplitPictures], learning: bytes | None) -> None:
    write_bytes(files.scores, without_formulas(table).to_csv(index=False).encode())
    for each in pictures:
        for name, png in each.files.items():
            write_bytes(files.pictures / name, png)
    if learning is not None:
        write_bytes(files.pictures / _LEARNING, learning)


def _track(files: ScoreFiles, tracker: Tracker) -> None:
    tracker.artifact(files.report_page)
    tracker.artifact(files.scores)
    for picture in sorted(files.pictures.glob("*.png")):
        if is_chart(picture.name):
            tracker.picture(picture, f"score/{picture.stem}")
