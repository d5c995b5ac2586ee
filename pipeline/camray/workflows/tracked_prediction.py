"""Volumes of a prediction in MLflow, where the trained run is tracked: counts alone, no film, name or path.

Reads   the records of the stages, ``ingest/refusals.parquet``, ``localize/predictions.parquet``
Writes  ``OUT/mlflow/`` and the store of the trained run, through the tracker
"""

import pandas as pd

from camray.adapters.run_folders.digests import code_version
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.adapters.tracking.sync import has_journal
from camray.io.artifacts import artifacts_of
from camray.io.tracking import open_tracker
from camray.workflows.stage_inputs import STAGE_NAMES
from camray.workflows.stored_settings import read_settings

_SHOWN_DIGEST = 12  # characters


def track_prediction(settings: Settings, folder: RunFolder) -> None:
    """Log the volumes of a finished prediction as a run beside the trained run; nothing if that one is not tracked.

    Parameters
    ----------
    settings : Settings
        Of the prediction.
    folder : RunFolder
        Its results, with `folder.trained` set.
    """
    trained = folder.model_run.root
    if not has_journal(trained) or folder.record("export") is None:
        return
    track = read_settings(trained).track.model_copy(update={"system_metrics": False})
    with open_tracker(settings.model_copy(update={"track": track}), folder, must_track=False) as tracker:
        _tell(folder, tracker)


def _tell(folder: RunFolder, tracker: Tracker) -> None:
    tracker.params({"trained_run": folder.model_run.root.resolve().name})
    network = folder.model_run.output_digest("train")[:_SHOWN_DIGEST]
    tracker.tags({"camray.kind": "prediction", "camray.network": network, "code_version": code_version()})
    tracker.metrics(volumes(folder))


def volumes(folder: RunFolder) -> dict[str, float]:
    """Count what a prediction did.

    Returns
    -------
    dict
        ``predict/films``, ``predict/refused`` and ``predict/refused.<reason>``, ``predict/boxes``, ``predict/seconds``,
        and ``predict/reported/<finding>`` films.
    """
    files = artifacts_of(folder)
    refusals = files.ingest.refusals.read()["reason"]
    predictions = files.localize.predictions.read()
    reported = predictions[predictions["reported"]]
    exported = folder.record("export") or {}
    records = [folder.record(stage) or {} for stage in STAGE_NAMES]
    counts = {
        "films": len(files.ingest.images.read()),
        "refused": len(refusals),
        **{f"refused.{reason}": int(count) for reason, count in refusals.value_counts().items()},
        "boxes": exported.get("figures", {}).get("boxes", 0),
        "seconds": sum(record.get("seconds", 0.0) for record in records),
        **{f"reported/{label}": int(rows["image_id"].nunique()) for label, rows in _by_label(predictions, reported)},
    }
    return {f"predict/{name}": float(value) for name, value in counts.items()}


def _by_label(predictions: pd.DataFrame, reported: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    labels = [str(label) for label in predictions["label"].drop_duplicates()]
    return [(label, reported[reported["label"] == label]) for label in labels]
