"""Tracker of a run: MLflow's, or the null tracker.

Reads   the settings' ``track`` section.
Writes  ``runs/<name>/mlflow/`` and the store, through the tracker.
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from camray.adapters.datasets.manifest_files import manifest_title
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker, Tracker
from camray.adapters.tracking.mlflow import MlflowTracker
from camray.domain.errors import SettingsError
from camray.domain.uris import HIDDEN
from camray.io.artifacts import RunArtifacts

LOADER = "camray.workflows.predictor:load_predictor"


def missing_password(settings: Settings, folder: RunFolder) -> str:
    """Return what is wrong with a store whose password an earlier version wrote into the settings, and the mending.

    Returns
    -------
    str
        Empty if nothing is wrong.
    """
    uri = settings.track.uri or ""
    if not settings.track.enabled or HIDDEN not in uri:
        return ""
    is_run = RunArtifacts(folder.root).settings.is_file()
    root = folder.root if is_run else folder.root.parent / settings.name
    return (
        f"{root}: track.uri={uri}: contained a password, which is not used, because settings are stored and logged; "
        "set the environment variable MLFLOW_TRACKING_URI to the whole URI and run "
        f"`camray run {shlex.quote(str(root))} track.uri=null`, or run it with track.enabled=false"
    )


@contextmanager
def open_tracker(settings: Settings, folder: RunFolder, *, must_track: bool = True) -> Iterator[Tracker]:
    """Hold a run and open its tracker; the tracked run ends with the block, as finished, failed or killed.

    A second process is refused here, before it logs anything to MLflow.

    Parameters
    ----------
    settings : Settings
        ``track.enabled`` false gives the null tracker. Without ``track.uri`` the variable ``MLFLOW_TRACKING_URI``
        counts, as everywhere with MLflow.
    folder : RunFolder
        The run; the default store is beside it, or beside the run whose network it uses.
    must_track : bool
        Whether a store whose password is missing is an error; if not, nothing is tracked.

    Yields
    ------
    Tracker
        In all but the first of torchrun's processes the null one.

    Raises
    ------
    IncompleteError
        If another process works on the run.
    SettingsError
        If the password of the store is missing; the message names the command that mends the settings.
    """
    fault = missing_password(settings, folder)
    if fault and must_track:
        raise SettingsError(fault)
    if fault or not settings.track.enabled or int(os.environ.get("RANK", "0")) > 0:
        yield NullTracker()
        return
    experiment = settings.track.experiment or manifest_title(settings.data.manifest)
    store_folder = folder.model_run.root.parent
    uri = settings.track.uri or os.environ.get("MLFLOW_TRACKING_URI") or None
    with folder.locked(), MlflowTracker(folder.root, store_folder, uri, experiment, LOADER) as tracker:
        if settings.track.system_metrics:
            tracker.watch_system()
        yield tracker
