"""Sending of journal entries: the MLflow call of each kind of entry."""

import logging
import math
import re
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image, UnidentifiedImageError

from camray.adapters.tracking import model as film_model
from camray.adapters.tracking.journal import ROOT, Entry, Journal
from camray.adapters.tracking.keys import within_limit
from camray.adapters.tracking.store import (
    artifact_location,
    import_mlflow,
    make_store,
    no_bytecode,
    pointed_at,
    quiet_calls,
)
from camray.adapters.tracking.tracked_runs import is_root

logger = logging.getLogger(__name__)
JOURNAL_TAG, CANDIDATE = "camray.journal", "candidate"
MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}  # else the UI treats it as a chat application
PARAMS_PER_BATCH, METRICS_PER_BATCH = 100, 1000
_UPLOAD = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "120"}
CALLS = {
    *("start", "resume", "end", "params", "tags", "untag", "metrics"),
    *("dataset", "picture", "artifact", "table", "model"),
}
_TRANSIENT = {401, 403, 408, 425, 429}


class LostFileError(Exception):
    """A file of an entry does not exist any more, or has changed."""


class DamagedEntryError(Exception):
    """An entry of the journal cannot be read."""


class Sender:
    """Sends entries to one store. Every method may raise whatever MLflow and its transports raise.

    Parameters
    ----------
    uri : str
        Tracking store.
    store_folder : Path
        Folder of the artifacts, unless the store is a server.
    journal : Journal
        Its state lists the tracked runs.
    """

    def __init__(self, uri: str, store_folder: Path, journal: Journal) -> None:
        self.uri, self.store_folder, self.journal = uri, store_folder, journal
        self._mlflow: Any = None
        self._client: Any = None

    def send(self, entry: Entry, in_doubt: bool) -> None:
        """Make one call.

        Parameters
        ----------
        entry : dict
            Entry of the journal.
        in_doubt : bool
            Whether an earlier attempt may have succeeded; then nothing is sent twice.
        """
        self._connect()
        if entry["call"] not in CALLS:
            raise DamagedEntryError("its line in the journal is damaged")
        uploads = entry["call"] in {"picture", "artifact", "table", "model"}
        with quiet_calls(_UPLOAD if uploads else None):
            getattr(self, "_" + entry["call"])(entry, in_doubt)

    def recover(self, run: str = "") -> bool:
        """Look for the tracked run, and one of its nested runs, in the store.

        Returns
        -------
        bool
            Whether the journal was reset because the store has lost them (it was replaced or emptied), or a run that
            had been deleted was restored.
        """
        runs = self.journal.state["runs"]
        run_ids = {str(run_id) for name, run_id in runs.items() if name in (ROOT, run)}
        if not run_ids:
            return False
        self._connect()
        with quiet_calls():
            try:
                deleted = [i for i in run_ids if self._client.get_run(i).info.lifecycle_stage == "deleted"]
            except self._mlflow.exceptions.MlflowException as error:
                if not self.is_final(error):
                    raise
                logger.warning("the MLflow store has lost the runs of the journal; everything is sent again")
                self.journal.start_over()
                return True
            for run_id in deleted:
                self._client.restore_run(run_id)
        return bool(deleted)

    def is_final(self, error: Exception) -> bool:
        """Return whether another attempt cannot help: the store answered and refused, or the entry is damaged."""
        if isinstance(error, LostFileError | DamagedEntryError | UnidentifiedImageError):
            return True
        if isinstance(error, KeyError | TypeError | AttributeError):  # of an entry whose line is damaged
            return True
        if self._mlflow is None or not isinstance(error, self._mlflow.exceptions.MlflowException):
            return False
        status = int(error.get_http_status_code())
        return 400 <= status < 500 and status not in _TRANSIENT

    def _connect(self) -> None:
        if self._client is None:
            make_store(self.uri)
            self._mlflow = import_mlflow()
            with quiet_calls():
                self._client = self._mlflow.MlflowClient(self.uri, registry_uri=self.uri)

    def _run_id(self, entry: Entry) -> str:
        name = entry["run"]
        if name not in self.journal.state["runs"]:  # the line that started it is damaged
            is_whole = is_root(name)
            own = self.journal.run_root.resolve().name if is_whole else name.partition("#")[0]
            self._start({**entry, "name": own, "parent": None if is_whole else ROOT}, True)
        return str(self.journal.state["runs"][name])

    def _start(self, entry: Entry, in_doubt: bool) -> None:
        experiment = self._experiment(entry.get("experiment") or self.journal.experiment)
        mark = f"{self.journal.state['journal']}/{entry['run']}"
        run_id = self._started_before(experiment, mark)
        if run_id is None:
            source = {"mlflow.source.name": "camray", "mlflow.source.type": "LOCAL"}
            tags = {**source, **entry.get("tags", {}), JOURNAL_TAG: mark}
            if entry["parent"]:
                tags["mlflow.parentRunId"] = self._run_id({**entry, "run": entry["parent"]})
            run = self._client.create_run(experiment, entry["time_ms"], tags, entry["name"])
            run_id = run.info.run_id
        self.journal.remember(runs={**self.journal.state["runs"], entry["run"]: run_id})

    def _experiment(self, name: str) -> str:
        known = self._client.get_experiment_by_name(name)
        if known is None:
            location = artifact_location(self.uri, self.store_folder)
            try:
                return str(self._client.create_experiment(name, location, tags=MODEL_TRAINING))
            except self._mlflow.exceptions.MlflowException as error:
                known = self._client.get_experiment_by_name(name)
                if known is None:
                    raise error
        if known.lifecycle_stage == "deleted":
            self._client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)

    def _started_before(self, experiment: str, mark: str) -> str | None:
        runs = self._client.search_runs([experiment], f"tags.`{JOURNAL_TAG}` = '{mark}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def _resume(self, entry: Entry, in_doubt: bool) -> None:
        self._client.update_run(self._run_id(entry), status="RUNNING")

    def _end(self, entry: Entry, in_doubt: bool) -> None:
        self._client.set_terminated(self._run_id(entry), entry["status"], entry["time_ms"])

    def _params(self, entry: Entry, in_doubt: bool) -> None:
        params = [self._mlflow.entities.Param(key, value) for key, value in entry["values"].items()]
        for start in range(0, len(params), PARAMS_PER_BATCH):
            self._client.log_batch(self._run_id(entry), params=params[start : start + PARAMS_PER_BATCH])

    def _tags(self, entry: Entry, in_doubt: bool) -> None:
        tags = [self._mlflow.entities.RunTag(key, value) for key, value in entry["values"].items()]
        for start in range(0, len(tags), PARAMS_PER_BATCH):
            self._client.log_batch(self._run_id(entry), tags=tags[start : start + PARAMS_PER_BATCH])

    def _untag(self, entry: Entry, in_doubt: bool) -> None:
        run_id = self._run_id(entry)
        present = self._client.get_run(run_id).data.tags
        for key in entry["keys"]:
            if key in present:
                self._client.delete_tag(run_id, key)

    def _metrics(self, entry: Entry, in_doubt: bool) -> None:
        metrics = [
            self._mlflow.entities.Metric(key, value, entry["time_ms"], entry["step"])
            for key, value in entry["values"].items()
            if math.isfinite(value)
        ]
        for start in range(0, len(metrics), METRICS_PER_BATCH):
            self._client.log_batch(self._run_id(entry), metrics=metrics[start : start + METRICS_PER_BATCH])

    def _dataset(self, entry: Entry, in_doubt: bool) -> None:
        entities = self._mlflow.entities
        given = entities.DatasetInput(
            entities.Dataset(**entry["dataset"]), [entities.InputTag("mlflow.data.context", entry["context"])]
        )
        self._client.log_inputs(self._run_id(entry), [given])

    def _picture(self, entry: Entry, in_doubt: bool) -> None:
        run_id, key, step, time_ms = self._run_id(entry), entry["key"], entry["step"], entry["time_ms"]
        if in_doubt:
            stem = f"images/{key.replace('/', '~')}+step+{step}+timestamp+{time_ms}+"
            names = [item.path for item in self._client.list_artifacts(run_id, "images")]
            if any(name.startswith(stem) and name.endswith(".webp") for name in names):
                self._client.set_tag(run_id, "mlflow.loggedImages", "True")
                return
        with Image.open(self._path(entry["file"])) as image:
            self._client.log_image(run_id, image.convert("RGB"), key=key, step=step, timestamp=time_ms)

    def _artifact(self, entry: Entry, in_doubt: bool) -> None:
        path = self._path(entry["file"])
        if path.is_dir():
            self._client.log_artifacts(self._run_id(entry), str(path), entry["folder"] or path.name)
        else:
            self._client.log_artifact(self._run_id(entry), str(path), entry["folder"] or None)

    def _table(self, entry: Entry, in_doubt: bool) -> None:
        run_id, name = self._run_id(entry), entry["name"] + ".json"
        if in_doubt and name in [item.path for item in self._client.list_artifacts(run_id)]:
            return
        rows = pd.DataFrame(entry["rows"]["data"], columns=entry["rows"]["columns"], dtype=object)  # "1.2" stays a text
        if entry["pictures"] is not None:
            column = [self._mlflow.Image(str(self._path(file))) for file in entry["pictures"]]
            rows[entry["picture_column"]] = pd.Series(column, index=rows.index, dtype=object)
        self._client.log_table(run_id, rows, name)

    def _model(self, entry: Entry, in_doubt: bool) -> None:
        run_id, name = self._run_id(entry), entry["name"]
        version = self._registered_before(run_id, name) if in_doubt else None
        if version is None:
            with tempfile.TemporaryDirectory() as scratch:
                version = self._log_model(entry, run_id, Path(scratch))
        self._client.set_registered_model_alias(name, CANDIDATE, version)
        if text := within_limit(entry.get("description", "")):  # entries of earlier versions have none
            self._client.update_model_version(name, version, text)
            self._client.update_registered_model(name, text)

    def _registered_before(self, run_id: str, name: str) -> str | None:
        versions = self._client.search_model_versions(f"name = '{name}'", max_results=1000)
        return next((str(version.version) for version in versions if version.run_id == run_id), None)

    def _log_model(self, entry: Entry, run_id: str, scratch: Path) -> str:
        files = scratch / "run"
        files.mkdir()
        for file in entry["files"]:
            target = files / file.get("as", file["path"])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self._path(file).read_bytes())
        entry_file = scratch / "film_entry.py"
        entry_file.write_text(film_model.entry_source(), encoding="utf-8")
        mlflow = self._mlflow
        with pointed_at(mlflow, self.uri), no_bytecode():
            try:
                with mlflow.start_run(run_id=run_id):
                    logged = mlflow.pyfunc.log_model(
                        name="model",
                        python_model=str(entry_file),
                        artifacts={"run": str(files)},
                        model_config={"loader": entry["loader"]},
                        code_paths=[str(Path(__file__).parents[2])],
                        pip_requirements=_requirements(),
                        signature=film_model.signature(),
                        input_example=film_model.input_example(),
                        registered_model_name=entry["name"],
                        await_registration_for=30,
                    )
            finally:
                self._resume(entry, False)
        return str(logged.registered_model_version)

    def _path(self, reference: dict[str, str]) -> Path:
        path = self.journal.find(reference)
        if path is None:
            raise LostFileError(
                f"{reference['path']} does not exist any more, or was written again; repeat its stage with --force to "
                "log the new one"
            )
        return path


def _requirements() -> list[str]:
    """Return the dependencies of camray, at the installed versions."""
    pinned = []
    for needed in metadata.requires("camray") or []:
        if "extra ==" not in needed:
            name = re.split(r"[^A-Za-z0-9._-]", needed, maxsplit=1)[0]
            pinned.append(f"{name}=={metadata.version(name).split('+')[0]}")
    return sorted(pinned)
