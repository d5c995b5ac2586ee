"""Films of one split with training targets.

Reads   ``ingest/images.parquet labels.parquet store/``
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.pixel_store import PixelStore
from camray.domain.records import Split
from camray.io.ingested_films import IngestedFilms

_VALUES = {"1": 1.0, "0": 0.0}  # anything else is no information


@dataclass(frozen=True, eq=False)
class LabelledFilms:
    """Films of one split, in the order of the pixel store.

    Parameters
    ----------
    image_ids : ndarray of shape (N,), object
        Names of the films.
    shards, indices : ndarray of shape (N,), int64
        Where their pixels lie.
    targets : ndarray of shape (N, L), float32
        1 present, 0 absent, NaN no information.
    store : PixelStore
        Holds the pixels.
    weights : ndarray of shape (N, L), float32, or None
        Weights of the targets in the loss; None: all 1.
    regions : ndarray of shape (N, L, 4), float32, or None
        Boxes that the maps are trained with, see `camray.core.training.batches.Batch`.
    """

    image_ids: NDArray[np.object_]
    shards: NDArray[np.int64]
    indices: NDArray[np.int64]
    targets: NDArray[np.float32]
    store: PixelStore
    weights: NDArray[np.float32] | None = None
    regions: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Copy the stored pixels of the films at these positions, [n, rows, cols]."""
        return self.store.rows(self.shards[positions].tolist(), self.indices[positions].tolist())


def labelled_films(
    films: IngestedFilms, split: Split, labels: Sequence[str], with_unlabelled: bool = False
) -> LabelledFilms:
    """Collect the films of a split; those without any known label are left out, unless they are asked for."""
    images = films.split(split).sort_values(["shard", "index"])
    targets = targets_of(images["image_id"], films.labels, labels)
    taken = with_unlabelled | ~np.isnan(targets).all(axis=1)
    shards, indices = (images[column].to_numpy(np.int64)[taken] for column in ("shard", "index"))
    image_ids = images["image_id"].to_numpy(dtype=object)[taken]
    return LabelledFilms(image_ids, shards, indices, targets[taken], films.store)


def targets_of(image_ids: "pd.Series[str]", table: pd.DataFrame, labels: Sequence[str]) -> NDArray[np.float32]:
    """Turn the label table into targets.

    Parameters
    ----------
    image_ids : Series of str
        Films, in order.
    table : DataFrame
        `LABEL_COLUMNS`; one row for each film and label at most.
    labels : sequence of str
        Order of the columns.

    Returns
    -------
    ndarray of shape (films, labels), float32
        1 present, 0 absent, NaN where the table is silent or uncertain.
    """
    values = table.assign(value=table["value"].map(_VALUES).astype("float32"))
    wide = values.pivot(index="image_id", columns="label", values="value")
    return np.array(wide.reindex(index=image_ids, columns=list(labels)).to_numpy(np.float32, na_value=np.nan))
