"""Interface of the tracking store, and an implementation that does nothing.

Names, tags, keys and images must contain hashed identifiers only: everything is copied to the store.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pandas as pd


class Tracker(Protocol):
    """Calls of stages to the tracking store. No method returns anything that a result could depend on."""

    def stage(self, name: str) -> "Any":
        """Return a context in which all calls belong to this stage's nested run."""

    def identify(self, facts: Mapping[str, str]) -> None:
        """Say, outside of stages, what the run is of, as digests; where one has changed, a new tracked run begins."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Record settings; nested mappings are flattened with dots."""

    def tags(self, values: Mapping[str, str | None]) -> None:
        """Record facts about the run: code version, data digest, device; None removes one."""

    def note(self, text: str) -> None:
        """Describe the whole run in Markdown."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record figures of one step in one batch; values that are not finite are omitted."""

    def run_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record figures of the whole run, also from within a stage."""

    def dataset(self, table: pd.DataFrame, name: str, source: str, digest: str, context: str) -> None:
        """Record which films were used: `mlflow.data`, without their pixels."""

    def picture(self, path: Path, key: str, step: int = 0) -> None:
        """Show a PNG as a card with a step slider in the UI."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Upload a file, or a whole folder, below `folder`."""

    def table(self, rows: pd.DataFrame, name: str, picture_column: str | None = None) -> None:
        """Show a table; `picture_column` holds paths of PNGs that become thumbnails."""

    def model(self, files: Sequence[Path], name: str, description: str = "") -> None:
        """Log files of a trained run as a pyfunc model (film in, boxes out) and register it as candidate.

        The description is Markdown; it becomes that of the version and of the registered model.
        """


class NullTracker:
    """Tracks nothing."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Do nothing around the stage."""
        yield

    def identify(self, facts: Mapping[str, str]) -> None:
        """Do nothing."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Do nothing."""

    def tags(self, values: Mapping[str, str | None]) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Do nothing."""

    def run_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Do nothing."""

    def dataset(self, table: pd.DataFrame, name: str, source: str, digest: str, context: str) -> None:
        """Do nothing."""

    def picture(self, path: Path, key: str, step: int = 0) -> None:
        """Do nothing."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Do nothing."""

    def table(self, rows: pd.DataFrame, name: str, picture_column: str | None = None) -> None:
        """Do nothing."""

    def model(self, files: Sequence[Path], name: str, description: str = "") -> None:
        """Do nothing."""
