"""Drift: folders of predictions compared with the films of the run that made them, as page, JSON and MLflow metrics.

Reads   ``ingest/``, ``explain/`` and ``localize/`` of the run and of the predictions; of a package ``drift.json``
Writes  ``drift/drift.html drift.json`` in the last folder of predictions, or in a folder of choice
Run     ``camray drift runs/phantom findings``
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.package_marks import is_package
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.core.drift.reference import RunReference
from camray.core.drift.summary import drift_as_json, drift_metrics
from camray.core.drift.verdict import FolderDrift, judge_folder
from camray.domain.errors import PipelineError
from camray.io.artifacts import RunArtifacts
from camray.io.drift_films import DRIFT_SEED, MAKER, PredictedFeatures, read_predicted, reference_of_run
from camray.io.model_package import PackageFiles
from camray.io.tracking import open_tracker
from camray.io.workflow_artifacts import DriftFiles
from camray.reporting.drift.page import drift_page
from camray.workflows.stored_settings import settings_of


@dataclass(frozen=True)
class DriftResult:
    """Result of `camray drift`.

    Parameters
    ----------
    reference : RunReference
        What the folders are compared with.
    folders : tuple of FolderDrift
        In the order given.
    notes : tuple of str
        What is not compared, and why.
    page : Path
        The page.
    summary : dict
        The same for programs.
    """

    reference: RunReference
    folders: tuple[FolderDrift, ...]
    notes: tuple[str, ...]
    page: Path
    summary: dict[str, Any]


def find_drift(trained: Path, predictions: Sequence[Path], out: Path | None) -> DriftResult:
    """Compare folders of predictions with the films of a run; write page and JSON, and track the figures.

    Parameters
    ----------
    trained : Path
        Run that trained the network, or a model package.
    predictions : sequence of Path
        Folders that `camray predict` wrote with it, in the order of time.
    out : Path or None
        Folder of the page; None takes ``drift/`` in the last folder of predictions.

    Raises
    ------
    SettingsError
        If a folder holds no run.
    PipelineError
        If predictions are of another network, or a file is missing or has changed since.
    """
    settings = settings_of(trained, or_package=True)
    report = settings.localize.report
    reference = _reference(trained, report)
    folders, notes = [], list[str]()
    for root in predictions:
        seen = read_predicted(root, trained, reference.networks, report, DRIFT_SEED)
        comparable, note = _comparable(root, reference, seen)
        about = (str(root), seen.written, seen.films)
        folders.append(judge_folder(about, comparable, seen.features, seen.patients, DRIFT_SEED))
        notes += note
    summary = drift_as_json(str(trained), reference, folders, notes)
    files = RunArtifacts(predictions[-1]).drift if out is None else DriftFiles(out)
    write_json(files.summary, summary)
    write_bytes(files.page, drift_page(settings.name, reference, folders, notes).encode())
    if not is_package(trained):
        _track(settings, trained, folders)
    return DriftResult(reference, tuple(folders), tuple(notes), files.page, summary)


def _reference(trained: Path, report: str) -> RunReference:
    if not is_package(trained):
        return reference_of_run(RunFolder(trained), report, DRIFT_SEED)
    file = PackageFiles(trained).drift_reference
    if not file.is_file():
        raise PipelineError(
            f"{trained}: the package is of an earlier version and says nothing of its run's films; name the run, or "
            "write the package again with `camray package`"
        )
    return file.read()


def _comparable(root: Path, reference: RunReference, seen: PredictedFeatures) -> tuple[list[Any], list[str]]:
    """Return the references that a folder can be compared with, and notes on the others."""
    given = {feature.key for feature in seen.features}
    known = [each for each in reference.references if each.key in given]
    notes = []
    if not (seen.maker_key and reference.maker_key):
        notes.append(
            f"{root}: manufacturer, window and appearance are not compared: the films of the run or of the folder were "
            "read by a version of camray that did not keep them"
        )
    elif seen.maker_key != reference.maker_key:
        known = [each for each in known if each.key != MAKER]
        notes.append(f"{root}: manufacturers are not compared: they were hashed with another site's key")
    return known, notes


def _track(settings: Settings, trained: Path, folders: Sequence[FolderDrift]) -> None:
    """Log the figures of each folder to the tracked run of the network; the step is the date of its boxes."""
    track = settings.track.model_copy(update={"system_metrics": False})  # those of the run are of its training
    with open_tracker(settings.model_copy(update={"track": track}), RunFolder(trained)) as tracker:
        for number, folder in enumerate(folders):
            date = folder.written.replace("-", "")
            tracker.metrics(drift_metrics(folder), int(date) if date.isdigit() else number)
