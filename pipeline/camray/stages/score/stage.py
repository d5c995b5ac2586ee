"""Scores of films, maps and boxes beside trivial baselines, with intervals by patient.

Reads   ``ingest/`` (films, labels, annotations), ``explain/`` (logits, maps), ``localize/`` (boxes, thresholds); the
        training and validation films of the trained run
Writes  ``score/scores.csv report.html pictures/*.png``; ``segmentations-<split>.json`` with protocol ``chexlocalize``
Run     ``camray score configs/phantom.yaml``
"""

import pandas as pd

from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.metrics.summary import mean_figures
from camray.core.metrics.threshold_selection import thresholds_to_score
from camray.domain.records import SCORE_COLUMNS, Counts, Split, StageResult
from camray.domain.spreadsheet_cells import without_formulas
from camray.io.artifacts import ScoreFiles
from camray.io.explained_run import ExplainedRun, is_explained, open_explained_run
from camray.io.ingested_films import read_ingested
from camray.io.split_films import SplitFilms, split_films
from camray.reporting.score_report.page import report_page
from camray.reporting.score_report.protocol_sections import protocols_without_rows
from camray.stages.score.label_scores import SplitScores, score_split, validation_levels
from camray.stages.score.protocol_inputs import ProtocolInputs
from camray.stages.score.protocols import protocol_rows
from camray.stages.score.report_pictures import SplitPictures, is_chart, split_pictures


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
    trained_films = read_ingested(folder.model_run) if trained is None else trained.films
    annotated = set(explained.films.boxes["label"]) | set(trained_films.boxes["label"])
    labels = [label for label in explained.labels if label in annotated]
    training = {label: trained_films.training_fractions(label) for label in labels}
    validation = _validation_films(trained, labels)
    levels = {} if validation is None else validation_levels(validation, settings)
    scores, pictures = [], []
    silent: dict[str, str] = {}
    for split in settings.score.splits:
        uses = thresholds_to_score(explained.thresholds.boxes, split, settings.score.oracle)
        films = split_films(explained, split, labels, settings.score.resample == "film")
        inputs = ProtocolInputs(settings.score, films, uses, training, validation)
        split_scores = score_split(inputs, levels)
        table = pd.concat([split_scores.table, protocol_rows(inputs)], ignore_index=True)
        silent |= {
            f"{split}: {name}": why for name, why in protocols_without_rows(table, settings.score.protocols).items()
        }
        pictures.append(split_pictures(inputs, SplitScores(table, split_scores.accuracy, split_scores.levels)))
        scores.append(table)
    files = explained.artifacts.score
    table = pd.concat(scores, ignore_index=True).astype(SCORE_COLUMNS)
    _write(files, settings, table, explained, pictures)
    _track(files, tracker)
    n_films = sum(each.page.films for each in pictures)
    return StageResult(Counts(n_films, n_films), {**mean_figures(table), **silent})


def _open_trained(folder: RunFolder) -> ExplainedRun | None:
    return open_explained_run(folder.model_run) if is_explained(folder.model_run) else None


def _validation_films(trained: ExplainedRun | None, labels: list[str]) -> SplitFilms | None:
    """Return the validation films of the run that owns the network, if any were explained."""
    if trained is None or Split.VALIDATION not in set(trained.explained["split"]):
        return None
    return split_films(trained, Split.VALIDATION, labels)


def _write(
    files: ScoreFiles, settings: Settings, table: pd.DataFrame, explained: ExplainedRun, pictures: list[SplitPictures]
) -> None:
    write_bytes(files.scores, without_formulas(table).to_csv(index=False).encode())
    for each in pictures:
        for name, png in each.files.items():
            write_bytes(files.pictures / name, png)
    splits, thresholds = [each.page for each in pictures], explained.thresholds.boxes
    page = report_page(settings.name, splits, thresholds, settings.score.confidence, explained.films.audit_warnings)
    write_bytes(files.report_page, page.encode())


def _track(files: ScoreFiles, tracker: Tracker) -> None:
    tracker.artifact(files.report_page)
    tracker.artifact(files.scores)
    for picture in sorted(files.pictures.glob("*.png")):
        if is_chart(picture.name):
            tracker.picture(picture, f"score/{picture.stem}")
