"""Boxes and peaks on the native grid, for every film, label, method and threshold policy.

Reads   ``explain/``; ``ingest/images.parquet store/``, and of validation films ``labels.parquet annotations.parquet``;
        for new films the trained run's ``localize/thresholds.json`` instead
Writes  ``localize/thresholds.json predictions.parquet``; ``films.parquet`` unless ``localize.foreign`` is null;
        ``lungs.parquet`` unless ``localize.zones`` is off
Run     ``camray localize configs/phantom.yaml``
"""

import pandas as pd

from camray.adapters.run_folders.part_folders import PartFolder
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.localization.box_thresholds import Thresholds
from camray.core.probability.calibration import OLDER_RUN
from camray.core.probability.promise_words import OLDER_PROMISES, promise_words
from camray.domain.errors import CheckpointError
from camray.domain.records import Counts, StageResult
from camray.io.artifacts import UnfinishedLocalizeFiles, artifacts_of
from camray.io.explained_run import ExplainedRun, open_explained_run
from camray.io.film_facts import film_facts
from camray.io.film_verdicts import not_judged_table
from camray.stages.localize.film_blocks import Drawing, delete_blocks, draw_all, write_block
from camray.stages.localize.threshold_choice import choose_thresholds

_SHOWN_REASONS = 3


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Choose thresholds unless the network is another run's, and draw all boxes; see `camray.workflows.run`."""
    drawing = _open(settings, folder)
    explained, thresholds = drawing.explained, drawing.thresholds
    files = explained.artifacts.localize
    files.thresholds.write(thresholds)
    foreign = _foreign_films(thresholds, explained, settings.localize.report)
    if foreign is not None:
        files.films.write(foreign)
    unlike = set() if foreign is None else set(foreign.loc[foreign["foreign"] != "", "image_id"])
    predictions, lungs = draw_all(drawing)
    predictions["reported"] &= ~predictions["image_id"].isin(unlike)
    if lungs is not None:
        files.lungs.write(lungs)
    files.predictions.write(predictions)
    delete_blocks(drawing)
    tracker.artifact(files.thresholds.path)
    with_box = predictions[predictions["x0"].notna()]
    n_films = len(explained.explained)
    figures = {
        "films": n_films,
        "thresholds": len(thresholds.boxes),
        "boxes": len(with_box),
        "reported_boxes": int(with_box["reported"].sum()),
        "not_judged": _share_not_judged(explained, settings.localize.report),
        "foreign_films": len(unlike),
        **{
            f"note_{number}": note
            for number, note in enumerate(
                (
                    *thresholds.notes,
                    *_probability_notes(thresholds, settings),
                    *_promise_notes(thresholds, settings),
                    *_foreign_notes(thresholds, foreign),
                )
            )
        },
    }
    return StageResult(Counts(n_films, n_films), figures)


def run_part(settings: Settings, folder: RunFolder, part: PartFolder) -> None:
    """Draw the boxes of one part's blocks of films into the part's folder; raises as `run` does."""
    drawing, files = _open(settings, folder), UnfinishedLocalizeFiles(part.folder)
    for block in part.begin(len(drawing.blocks)):
        write_block(drawing, files, block)
        lungs = [files.lungs(block).path] if settings.localize.zones else []
        part.finish(block, [*lungs, files.boxes(block).path])


def _open(settings: Settings, folder: RunFolder) -> Drawing:
    """Read the maps, and choose the thresholds unless the network is another run's."""
    explained = open_explained_run(folder)
    if folder.trained is not None:
        thresholds = _thresholds_of_trained_run(explained).moved_to(settings.localize.prevalence)
        return Drawing(explained, thresholds, settings, {})
    heat = {method: explained.heat_maps(method) for method in explained.methods}
    thresholds = choose_thresholds(explained, heat, settings.localize).moved_to(settings.localize.prevalence)
    return Drawing(explained, thresholds, settings, heat)


def _probability_notes(thresholds: Thresholds, settings: Settings) -> list[str]:
    """Say why no finding has a probability, or which given prevalences move nothing."""
    if thresholds.boxes and not thresholds.calibrations:
        return [f"no finding has a probability: {OLDER_RUN}"]
    given = [thresholds.calibration_of(label) for label in settings.localize.prevalence]
    return [f"prevalence of '{each.label}' not used, as it has no probability" for each in given if each.kind == "none"]


def _promise_notes(thresholds: Thresholds, settings: Settings) -> list[str]:
    """Say what is promised of the findings that are judged."""
    if settings.localize.report != "judged":
        return []
    if thresholds.boxes and not thresholds.promises:
        return [f"nothing is promised of any finding: {OLDER_PROMISES}"]
    judged = {
        each.label: promise_words(each) for each in thresholds.promises if each.label not in thresholds.not_judged
    }
    return [f"'{label}': {words}" for label, words in judged.items() if words]


def _share_not_judged(explained: ExplainedRun, report: str) -> float:
    """Return the share of findings on films that are neither reported nor denied."""
    table = not_judged_table(explained, report)
    return float((table != "").to_numpy(dtype=bool).mean()) if table.size else 0.0


def _foreign_films(thresholds: Thresholds, explained: ExplainedRun, report: str) -> pd.DataFrame | None:
    """Say of each film why it is unlike those of training; None where films are not compared."""
    known = thresholds.films
    if known is None or known.reason or report != "judged":
        return None
    reasons = known.why_foreign(film_facts(explained.films, explained.image_ids))
    return pd.DataFrame({"image_id": explained.image_ids, "foreign": reasons})


def _foreign_notes(thresholds: Thresholds, foreign: pd.DataFrame | None) -> list[str]:
    """Say how many films are unlike those of training, and why; or why that is not known."""
    if thresholds.films is not None and thresholds.films.reason:
        return [f"films are not compared with the training films: {thresholds.films.reason}"]
    if foreign is None:
        return []
    counts = foreign.loc[foreign["foreign"] != "", "foreign"].value_counts()
    if counts.empty:
        return []
    named = [f"{why} ({count})" for why, count in counts.items()]
    more = f", and {len(named) - _SHOWN_REASONS} more reasons" if len(named) > _SHOWN_REASONS else ""
    shown = ", ".join(named[:_SHOWN_REASONS])
    return [f"{int(counts.sum())} film(s) are unlike the training films, nothing is judged on them: {shown}{more}"]


def _thresholds_of_trained_run(explained: ExplainedRun) -> Thresholds:
    file = artifacts_of(explained.folder.model_run).localize.thresholds
    thresholds = file.read()
    unknown = {threshold.label for threshold in thresholds.boxes} - set(explained.labels)
    missing = {threshold.method for threshold in thresholds.boxes} - set(explained.methods)
    if unknown or missing:
        raise CheckpointError(
            f"{file.path}: names labels {sorted(unknown)} or methods {sorted(missing)} that were not explained; "
            "use the trained run's own settings"
        )
    return thresholds
