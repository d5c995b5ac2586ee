"""Names that settings may use, from tables and manifest alone: nothing here reads a film."""

from pathlib import Path

import numpy as np
import pandas as pd

from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.manifest import Manifest
from camray.adapters.datasets.mask_table import UNKNOWN_SIDE
from camray.adapters.datasets.reading import survey_tables
from camray.adapters.datasets.split_lists import read_split_lists
from camray.adapters.datasets.table_paths import TablePaths
from camray.adapters.datasets.tables import read_text
from camray.domain.errors import ManifestError


def known_findings(manifest: Manifest, paths: TablePaths) -> tuple[str, ...]:
    """Return the findings of a data set: the manifest's, or where it has none of its own, the tables'.

    Raises
    ------
    ManifestError, AnnotationError
        If a table cannot be read.
    """
    if manifest.labels != "auto":
        return tuple(label.name for label in manifest.labels)
    dataset = survey_tables(manifest, paths, _no_films(), np.full((1, 2), UNKNOWN_SIDE))
    return tuple(finding.name for finding in dataset.findings)


def check_official_splits(manifest: Manifest, root: Path, paths: TablePaths) -> None:
    """Check that official splits exist: every list that the manifest names, else a column of a label table.

    Raises
    ------
    ManifestError
        If a list or the column does not exist.
    """
    if manifest.splits:
        read_split_lists(manifest, root, _no_films())
        return
    rules = manifest.label_table
    columns = set() if rules is None else set(rules.split)
    for path in paths.label_tables:
        if rules is not None and columns.intersection(read_text(path, rules.columns).cells.columns):
            return
    raise no_official_splits(manifest)


def no_official_splits(manifest: Manifest) -> ManifestError:
    """Return the error of a data set without official splits."""
    return ManifestError(
        f"data manifest '{manifest.name}' has no official split lists, and the label table no column 'split'; "
        "set ingest.split=seeded"
    )


def _no_films() -> FilmIndex:
    """Return the index of one refused file, which no table names."""
    name = pd.Series(["?"])
    return FilmIndex(name, name, np.zeros(1, bool))
