"""Tracker of a run: MLflow's, or the null tracker.

Reads   the settings' ``track`` section.
Writes  ``runs/<name>/mlflow/`` and the store, through the tracker.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker, Tracker
from camray.adapters.tracking.mlflow import MlflowTracker

LOADER = "camray.workflows.predictor:load_predictor"


@contextmanager
def open_tracker(settings: Settings, folder: RunFolder) -> Iterator[Tracker]:
    """Hold a run and open its tracker; the tracked run ends with the block, as finished, failed or killed.

    A second process is refused here, before it logs anything to MLflow.

    Parameters
    ----------
    settings : Settings
        ``track.enabled`` false gives the null tracker. Without ``track.uri`` the variable ``MLFLOW_TRACKING_URI``
        counts, as everywhere with MLflow.
    folder : RunFolder
        The run; the default store is beside it, or beside the run whose network it uses.

    Yields
    ------
    Tracker
        In all but the first of torchrun's processes the null one.

    Raises
    ------
    IncompleteError
        If another process works on the run.
    """
    if not settings.track.enabled or int(os.environ.get("RANK", "0")) > 0:
        yield NullTracker()
        return
    experiment = settings.track.experiment or settings.name
    store_folder = folder.model_run.root.parent
    uri = settings.track.uri or os.environ.get("MLFLOW_TRACKING_URI") or None
    with folder.locked(), MlflowTracker(folder.root, store_folder, uri, experiment, LOADER) as tracker:
        yield tracker
