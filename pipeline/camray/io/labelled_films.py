"""The films of one split with what is known of their labels; no stage of its own.

Reads   ``ingest/images.parquet labels.parquet store/``
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.pixel_store import PixelStore
from camray.adapters.run_folder import RunFolder, read_table
from camray.domain.records import IMAGE_COLUMNS, LABEL_COLUMNS, Split

_VALUES = {"1": 1.0, "0": 0.0}  # anything else is no information


@dataclass(frozen=True, eq=False)
class LabelledFilms:
    """Films of one split with at least one known label, in the order of the pixel store.

    Parameters
    ----------
    shards, indices : ndarray of shape (N,), int64
        Where their pixels lie.
    targets : ndarray of shape (N, L), float32
        1 present, 0 absent, NaN no information.
    store : PixelStore
        Holds the pixels.
    """

    shards: NDArray[np.int64]
    indices: NDArray[np.int64]
    targets: NDArray[np.float32]
    store: PixelStore

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Copy the stored pixels of the films at these positions, [n, rows, cols]."""
        return self.store.rows(self.shards[positions].tolist(), self.indices[positions].tolist())


def labelled_films(folder: RunFolder, split: Split, labels: list[str]) -> LabelledFilms:
    """Read a split's films; those of which no label is known are left out."""
    images = read_table(folder.root / "ingest" / "images.parquet", IMAGE_COLUMNS)
    images = images[images["split"] == split.value].sort_values(["shard", "index"])
    table = read_table(folder.root / "ingest" / "labels.parquet", LABEL_COLUMNS)
    targets = targets_of(images["image_id"], table, labels)
    known = ~np.isnan(targets).all(axis=1)
    places = [images[column].to_numpy(np.int64)[known] for column in ("shard", "index")]
    return LabelledFilms(places[0], places[1], targets[known], PixelStore(folder.root / "ingest" / "store"))


def targets_of(image_ids: "pd.Series[str]", table: pd.DataFrame, labels: list[str]) -> NDArray[np.float32]:
    """Turn the label table into targets.

    Parameters
    ----------
    image_ids : Series of str
        Films wanted, in order.
    table : DataFrame
        `LABEL_COLUMNS`; one row for each film and label at most.
    labels : list of str
        Order of the columns.

    Returns
    -------
    ndarray of shape (films, labels), float32
        1 present, 0 absent, NaN where the table is silent or uncertain.
    """
    values = table.assign(value=table["value"].map(_VALUES).astype("float32"))
    wide = values.pivot(index="image_id", columns="label", values="value")
    return np.array(wide.reindex(index=image_ids, columns=labels).to_numpy(np.float32, na_value=np.nan))
