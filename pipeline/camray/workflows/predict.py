"""Settings and run folder of a trained run that is applied to new films.

Reads   a trained run's settings, network and thresholds; a folder of films, or one film; tables where given.
Writes  a run folder of its own, without ``train``.
Run     ``camray predict runs/phantom films/ --out findings``
"""

from collections.abc import Sequence
from pathlib import Path

from camray.adapters.run_folders.package_marks import is_package
from camray.adapters.run_folders.part_folders import PARTS_FOLDER
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.run_lock import LOCK_FILE
from camray.adapters.settings.schema import Settings
from camray.domain.errors import PipelineError, SettingsError
from camray.domain.suggestions import did_you_mean
from camray.io.artifacts import RunArtifacts
from camray.io.model_package import PackageFiles
from camray.workflows.stage_inputs import STAGE_NAMES
from camray.workflows.stored_settings import settings_of


def settings_for(
    trained: Path, films: Path, labels: Path | None, boxes: Path | None, manifest: str | None = None
) -> Settings:
    """Return the trained run's settings, turned to new films.

    Parameters
    ----------
    trained : Path
        Root of the run, or of a model package.
    films : Path
        Folder of films, or one film.
    labels, boxes : Path or None
        Tables of the new films, in the form of the data manifest.
    manifest : str or None
        Data manifest of the tables, if not the run's own.

    Raises
    ------
    SettingsError
        If a path does not exist.
    PipelineError
        If the run is not trained, or a package is damaged.
    """
    for path in (films, labels, boxes):
        if path is not None and not path.exists():
            raise SettingsError(f"{path} does not exist")
    old = settings_of(trained, or_package=True)
    for stage in ("train", "localize"):
        if RunFolder(trained).record(stage) is None:
            raise PipelineError(f"{trained}: stage '{stage}' has not finished; run `camray run` on it first")
    data = old.data.model_copy(
        update={
            "root": films.absolute(),  # later commands may run in another folder
            "labels": labels and labels.absolute(),
            "boxes": boxes and boxes.absolute(),
            "generate": None,
            "manifest": manifest or old.data.manifest,
        }
    )
    localize = old.localize
    if is_package(trained) and (lungs := PackageFiles(trained).lungs).is_file():
        localize = localize.model_copy(update={"lungs": lungs})
    whole = {"splits": ("test",)}
    return old.model_copy(
        update={
            "data": data,
            "localize": localize,
            "explain": old.explain.model_copy(update=whole),
            "score": old.score.model_copy(update=whole),
            "export": old.export.model_copy(update=whole),
            "track": old.track.model_copy(update={"enabled": False}),
        }
    )


def with_prevalences(settings: Settings, trained: Path, given: Sequence[str]) -> Settings:
    """Return settings whose probabilities are moved to the site's prevalences.

    Parameters
    ----------
    settings : Settings
        Of new films.
    trained : Path
        Root of the run that owns the network.
    given : sequence of str
        ``LABEL=NUMBER``, 0-1 without the ends.

    Raises
    ------
    SettingsError
        If one is not of that form, or names a finding that the run does not know or states no probability of.
    """
    thresholds = RunArtifacts(trained).localize.thresholds.read()
    labels = [cutoff.label for cutoff in thresholds.cutoffs]
    prevalences: dict[str, float] = {}
    for text in given:
        label, _, number = text.rpartition("=")
        try:
            prevalence = float(number)
        except ValueError:
            prevalence = float("nan")
        if not label or not 0 < prevalence < 1 or label in prevalences:
            raise SettingsError(
                f"--prevalence {text}: expected FINDING=NUMBER with a number between 0 and 1, once for each finding, "
                "for instance Effusion=0.03"
            )
        if label not in labels:
            raise SettingsError(f"--prevalence: no finding '{label}'; {did_you_mean(label, labels, 'the run knows')}")
        if reason := thresholds.calibration_of(label).reason:
            raise SettingsError(f"--prevalence {text}: the run states no probability of '{label}': {reason}")
        prevalences[label] = prevalence
    localize = settings.localize.model_copy(update={"prevalence": {**settings.localize.prevalence, **prevalences}})
    return settings.model_copy(update={"localize": localize})


def folder_of(trained: Path, out: Path) -> RunFolder:
    """Return the run folder for the results.

    Raises
    ------
    SettingsError
        If it would lie in the trained run itself, or the folder holds something else.
    """
    if out.resolve() == trained.resolve() or trained.resolve() in out.resolve().parents:
        raise SettingsError(f"{out}: is inside the trained run; choose a folder outside it")
    if is_package(out):
        raise SettingsError(f"{out}: holds a model package; choose an empty or a new folder")
    if out.exists() and (not out.is_dir() or not (RunArtifacts(out).settings.is_file() or _is_refused_run(out))):
        raise SettingsError(f"{out}: holds something that is not a camray run; choose an empty or a new folder")
    return RunFolder(out, trained=trained)


def _is_refused_run(folder: Path) -> bool:
    """Return whether a folder is empty, or holds only what a refused first run leaves."""
    left = {*STAGE_NAMES, LOCK_FILE, PARTS_FOLDER, RunArtifacts(folder).log.name}
    return {path.name for path in folder.iterdir()} <= left
