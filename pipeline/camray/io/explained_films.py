"""The explained films with everything that maps a box of theirs back to the native grid.

Reads   ``explain/``, ``ingest/images.parquet``
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.pixel_store import PixelStore
from camray.adapters.run_folder import RunFolder, read_table
from camray.core.localization.heat_maps import CropWindow, film_window
from camray.core.metrics.probability import probabilities_of
from camray.domain.errors import PipelineError
from camray.domain.geometry import GridTransform
from camray.domain.records import EXPLAINED_COLUMNS, IMAGE_COLUMNS


@dataclass(frozen=True)
class ExplainedFilms:
    """N films in the order of their heat.

    Parameters
    ----------
    table : DataFrame
        `EXPLAINED_COLUMNS`, one row a film.
    logits : ndarray of shape (N, L), float32
        Labels in the order of `labels`.
    labels, methods : tuple of str
        As explained.
    exponents : mapping of str to int
        By method: what lies on disk is the raw heat times 2 to this power.
    shape_model : tuple of int
        (rows, cols) of the model grid, px.
    sizes : tuple of (int, int)
        Native (rows, cols) of each film, px.
    transforms : tuple of GridTransform
        Native to model, for each film.
    windows : tuple of CropWindow
        Model pixels that each film covers.
    folder : Path
        Where the maps lie.
    prior_folder : Path
        Where the prior maps lie, if there are any: with the run that the network comes from.
    """

    table: pd.DataFrame
    logits: NDArray[np.float32]
    labels: tuple[str, ...]
    methods: tuple[str, ...]
    exponents: Mapping[str, int]
    shape_model: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]
    transforms: tuple[GridTransform, ...]
    windows: tuple[CropWindow, ...]
    folder: Path
    prior_folder: Path

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Logistic of the logits, [N, L]."""
        return probabilities_of(self.logits)

    def heat(self, method: str) -> NDArray[np.float32]:
        """Return one method's raw maps [N, L, h, w]."""
        store, scale = PixelStore(self.folder, f"heat-{method}"), np.float32(2.0 ** -self.exponents[method])
        shards = [store.shard(int(shard)).astype(np.float32) * scale for shard in sorted(self.table["shard"].unique())]
        return np.concatenate(shards)

    def prior(self, method: str) -> NDArray[np.float32] | None:
        """Return one method's prior maps [L, h, w], or None where none were made."""
        path = self.prior_folder / f"prior-{method}.npy"
        return np.asarray(np.load(path, allow_pickle=False), np.float32) if path.is_file() else None


def read_explained(folder: RunFolder) -> ExplainedFilms:
    """Read what ``explain/`` and ``ingest/`` say of the explained films.

    Raises
    ------
    PipelineError
        If the two do not belong together, or a stage has not happened.
    """
    explained = folder.root / "explain"
    table = read_table(explained / "images.parquet", EXPLAINED_COLUMNS)
    grid = json.loads((explained / "grid.json").read_text(encoding="utf-8"))
    logits = np.load(explained / "logits.npy", allow_pickle=False)
    images = read_table(folder.root / "ingest" / "images.parquet", IMAGE_COLUMNS).set_index("image_id")
    if not table["image_id"].isin(images.index).all() or logits.shape != (len(table), len(grid["labels"])):
        raise PipelineError(f"{explained}: does not belong to the films in ingest/; run the explain stage again")
    images = images.loc[table["image_id"]]
    shape_model = (int(grid["rows"]), int(grid["cols"]))
    columns = (images[name] for name in ("scale_x", "scale_y", "offset_x", "offset_y"))
    transforms = tuple(GridTransform(*map(float, row)) for row in zip(*columns, strict=True))
    sizes = tuple((int(rows), int(cols)) for rows, cols in zip(images["rows"], images["cols"], strict=True))
    return ExplainedFilms(
        table=table,
        logits=logits,
        labels=tuple(grid["labels"]),
        methods=tuple(grid["methods"]),
        exponents=grid["heat_exponents"],
        shape_model=shape_model,
        sizes=sizes,
        transforms=transforms,
        windows=tuple(film_window(each, size, shape_model) for each, size in zip(transforms, sizes, strict=True)),
        folder=explained,
        prior_folder=folder.model_run.root / "explain",
    )
