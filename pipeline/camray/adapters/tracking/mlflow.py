"""Tracking with MLflow: each call is recorded in a journal first, then sent; `sync` sends what could not be sent."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from camray.adapters.tracking.journaled_run import JournaledRun, ModelFile
from camray.adapters.tracking.keys import picture_key, tracking_key, within_limit
from camray.adapters.tracking.store import import_mlflow, quiet_calls
from camray.adapters.tracking.tracked_runs import flat

VALUE_CHARACTERS, DIGEST_CHARACTERS = 500, 36


class MlflowTracker(JournaledRun):
    """Tracks one run in MLflow; see `JournaledRun` for the parameters."""

    def identify(self, facts: Mapping[str, str]) -> None:
        """Begin a new MLflow run if one of these digests is not the present one's; the old run is kept.

        The new one is told the params and tags that this process told the old one.
        """
        given = {f"camray.{key}": value[:DIGEST_CHARACTERS] for key, value in facts.items()}
        known = self._known.get((self._root, "tags"), {})
        if self._journal is not None and any(known.get(key, value) != value for key, value in given.items()):
            told = {kind: dict(values) for kind, values in self._told.items()}
            self._begin_anew()
            self.params(told["params"])
            self.tags({key: value for key, value in told["tags"].items() if key not in given})
        self.tags(given)

    def params(self, values: Mapping[str, Any]) -> None:
        """Record settings, flattened with dots.

        MLflow never changes a param: as long as a setting has another value than at first, the tag ``changed.<key>``
        holds it.
        """
        known = self._known.setdefault((self._run, "params"), {})
        given = {tracking_key(key): str(value)[:VALUE_CHARACTERS] for key, value in flat(values).items()}
        if self._run == self._root:
            self._told["params"].update(given)
        new = {key: value for key, value in given.items() if key not in known}
        changed = {
            tracking_key(f"changed.{key}"): value for key, value in given.items() if known.get(key, value) != value
        }
        self._remove_tags([tracking_key(f"changed.{key}") for key in given if known.get(key) == given[key]])
        if new:
            known.update(new)
            self._record("params", values=new)
        self.tags(changed)

    def tags(self, values: Mapping[str, str | None]) -> None:
        """Record facts about the run; None removes one."""
        known = self._known.setdefault((self._run, "tags"), {})
        self._remove_tags([tracking_key(key) for key, value in values.items() if value is None])
        new = {tracking_key(key): str(value)[:VALUE_CHARACTERS] for key, value in values.items() if value is not None}
        if self._run == self._root:
            self._told["tags"].update(new)
        new = {key: value for key, value in new.items() if known.get(key) != value}
        if new:
            known.update(new)
            self._record("tags", values=new)

    def _remove_tags(self, keys: Sequence[str]) -> None:
        known = self._known.get((self._run, "tags"), {})
        for key in keys if self._run == self._root else ():
            self._told["tags"].pop(key, None)
        present = [key for key in keys if known.pop(key, None) is not None]
        if present:
            self._record("untag", keys=present)

    def note(self, text: str) -> None:
        """Describe the whole run in Markdown, at the head of its page in the UI."""
        if self._journal is not None:
            self._open()
            self._tell("tags", self._root, values={"mlflow.note.content": within_limit(text)})

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record figures of one step in one batch; values that are not finite are omitted."""
        finite = _finite(values)
        if finite:
            self._record("metrics", values=finite, step=int(step))

    def run_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record figures of the whole run, also from within a stage."""
        finite = _finite(values)
        if finite and self._journal is not None:
            self._open()
            self._tell("metrics", self._root, values=finite, step=int(step))
        self._tell_system()

    def dataset(self, table: pd.DataFrame, name: str, source: str, digest: str, context: str) -> None:
        """Record which films were used, here and for the whole run: name, digest, columns, count; never a row."""
        if self._journal is None:
            return
        mlflow = import_mlflow()
        with quiet_calls():
            from mlflow.data.code_dataset_source import CodeDatasetSource

            origin = CodeDatasetSource(tags={"source": source})
            described = mlflow.data.from_pandas(table, source=origin, name=name, digest=digest[:DIGEST_CHARACTERS])
            plain = described._to_mlflow_entity()
        parts = {
            part: getattr(plain, part) for part in ("name", "digest", "source_type", "source", "schema", "profile")
        }
        self._record("dataset", dataset=parts, context=context)
        if self._run != self._root:  # the whole run's data too
            self._tell("dataset", self._root, dataset=parts, context=context)
        self._tell("tags", self._root, values={"data_digest": digest})

    def picture(self, path: Path, key: str, step: int = 0) -> None:
        """Show a PNG as a card with a step slider in the UI."""
        self._record("picture", key=picture_key(key), step=int(step), file=path)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Upload a file, or a whole folder, below `folder`."""
        self._record("artifact", file=path, folder=folder)

    def table(self, rows: pd.DataFrame, name: str, picture_column: str | None = None) -> None:
        """Show a table; `picture_column` holds paths of PNGs that become thumbnails."""
        pictures = None
        if picture_column is not None:
            pictures = [Path(path) for path in rows[picture_column]]
            rows = rows.assign(**{picture_column: ""})
        plain = json.loads(rows.reset_index(drop=True).to_json(orient="split", index=False))
        self._record("table", name=tracking_key(name), rows=plain, pictures=pictures, picture_column=picture_column)

    def model(self, files: Sequence[Path], name: str, description: str = "") -> None:
        """Log files of a trained run as a pyfunc model (film in, boxes out) and register it as candidate."""
        existing = [ModelFile(path) for path in files if path.is_file()]
        if self._journal is not None:  # of the whole run: the list of runs names its model
            self._open()
            known = {"loader": self._loader, "files": existing, "description": description}
            self._tell("model", self._root, name=name, **known)


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {tracking_key(key): float(value) for key, value in values.items() if math.isfinite(value)}
