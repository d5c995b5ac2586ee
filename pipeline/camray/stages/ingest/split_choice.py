"""Splits of the admitted films: seeded, from official lists, or from a column of the label table."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.known_names import no_official_splits
from camray.adapters.datasets.manifest import Manifest
from camray.adapters.datasets.split_lists import read_split_lists, splits_of_texts
from camray.adapters.settings.films import IngestSettings
from camray.core.cohort.deduplication import patient_split_key
from camray.core.cohort.patient_splits import check_no_leak, official_splits, seeded_splits


def read_official_splits(
    manifest: Manifest, root: Path, index: FilmIndex, column: "pd.Series[str]"
) -> NDArray[np.object_]:
    """Return the official split of each film, from the manifest's lists or else from the label table's column.

    Parameters
    ----------
    manifest : Manifest
        With or without split lists.
    root : Path
        Folder of the lists.
    index : FilmIndex
        All films.
    column : Series of str
        What the label table says of each film; empty text for nothing.

    Raises
    ------
    ManifestError
        If neither names a split, or one of them is wrong.
    """
    if manifest.splits:
        return read_split_lists(manifest, root, index)
    if not (column != "").any():
        raise no_official_splits(manifest)
    return splits_of_texts(column)


def choose_splits(
    kept: pd.DataFrame, values: NDArray[np.int8], settings: IngestSettings, official: NDArray[np.object_] | None
) -> NDArray[np.object_]:
    """Return the split of each admitted film.

    Parameters
    ----------
    kept : DataFrame
        Records of the films that stay, with ``patient_key`` and ``source``.
    values : ndarray of shape (films, labels), int8
        Their labels.
    settings : IngestSettings
        Fractions and seed.
    official : ndarray of shape (films,), object, or None
        Their official splits; None draws them.

    Raises
    ------
    ManifestError
        If a patient is in two splits.
    """
    patients = patient_split_key(kept["patient_key"].to_numpy(dtype=object), kept["source"].to_numpy(dtype=object))
    signatures = [",".join(map(str, row)) for row in values]
    if official is None:
        splits = seeded_splits(patients, signatures, settings.fractions, settings.split_seed)
    else:
        splits = official_splits(list(official), patients, signatures, settings.fractions, settings.split_seed)
    check_no_leak(list(kept["patient_key"]), list(splits))
    return splits
