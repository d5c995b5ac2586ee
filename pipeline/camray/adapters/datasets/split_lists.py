"""Official split lists of a data set."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.manifest import Key, Manifest
from camray.adapters.datasets.tables import missing_columns, own_file, read_cells
from camray.domain.errors import ManifestError
from camray.domain.records import Split

_SPELLINGS = {
    Split.TRAIN: ("train", "training"),
    Split.VALIDATION: ("validation", "valid", "val", "dev", "development", "tune", "tuning"),
    Split.TEST: ("test", "testing"),
}


def read_split_lists(manifest: Manifest, root: Path, films: FilmIndex) -> NDArray[np.object_]:
    """Return the official split of each film; empty text for films in no list.

    Raises
    ------
    ManifestError
        If the manifest has no lists, a list does not exist, or a film is in two lists.
    """
    if not manifest.splits:
        raise ManifestError(f"data manifest '{manifest.name}' has no official split; set ingest.split=seeded")
    splits = np.full(len(films.usable), "", dtype=object)
    for split in Split:
        if split not in manifest.splits:
            continue
        path = split_list(manifest, root, split)
        if path is None:
            raise ManifestError(
                f"{root / manifest.splits[split]}: no such split list; obtain it (see how_to_obtain), "
                "or set ingest.split=seeded"
            )
        indices = films.match(*_split_names(manifest, path))
        indices = indices[indices >= 0]
        if (splits[indices] != "").any():
            raise ManifestError(f"{path.name}: lists films that another official list has too; correct the lists")
        splits[indices] = str(split)
    return splits


def split_list(manifest: Manifest, root: Path, split: Split) -> Path | None:
    """Return the file of an official split list, or None if it does not exist."""
    return own_file(root, manifest.splits[split])


def _split_names(manifest: Manifest, path: Path) -> tuple["pd.Series[str]", Key]:
    """Read the films of a list: the key column of a table, or one film per line."""
    rules = manifest.label_table
    key_is = manifest.split_key_is or (rules.key_is if rules is not None else "image_id")
    if rules is not None and ".csv" in path.suffixes:
        cells = read_cells(path, rules.columns)
        column = next((name for name in rules.key if name in cells.columns), None)
        if column is None:
            raise ManifestError(f"{path.name}: {missing_columns(rules.key, 'for the film', cells.columns)}")
        names = cells[column].dropna().astype(str)
    else:
        lines = path.read_text(encoding="utf-8").splitlines()
        names = pd.Series([line.strip() for line in lines if line.strip()], dtype=str)
    if rules is not None and rules.key_pattern is not None:
        names = names.str.extract(rules.key_pattern, expand=False).fillna(names)
    return names.reset_index(drop=True), key_is


def splits_of_texts(texts: "pd.Series[str]") -> NDArray[np.object_]:
    """Return the split that each film's text in a column ``split`` names; empty text for films without one.

    Raises
    ------
    ManifestError
        If a text names none of the three splits.
    """
    names = {text: str(split) for split, spellings in _SPELLINGS.items() for text in spellings}
    folded = texts.str.strip().str.casefold()
    unknown = (folded != "") & ~folded.isin(set(names))
    if unknown.any():
        legal = ", ".join(f"'{text}'" for text in names)
        raise ManifestError(
            f"the label table's column of splits has {int(unknown.sum())} film(s) with another text than {legal}; "
            "correct it, or set ingest.split=seeded"
        )
    return folded.map(names).fillna("").to_numpy(dtype=object)
