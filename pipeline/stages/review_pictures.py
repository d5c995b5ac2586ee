"""Films as people see them: 8 bits at display resolution, from their sources or else from the pixel store. No stage.

Reads   the films under ``data.root`` or ``generate/``; ``ingest/store/``
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from pipeline.adapters.pixel_store import PixelStore
from pipeline.adapters.runs import RunFolder
from pipeline.adapters.settings import Settings
from pipeline.domain.errors import ImageError
from pipeline.stages.films import read_film

_COARSE = "Shown as the network saw it: the source film is not at hand, or has changed."


class Pictures:
    """Films at display resolution: from their sources, or from the pixel store where a source is gone."""

    def __init__(self, settings: Settings, folder: RunFolder, display_px: int) -> None:
        self._store = PixelStore(folder.root / "ingest" / "store")
        root = folder.root / "generate" if settings.data.generate is not None else settings.data.root
        self._root = root.parent if root is not None and root.is_file() else root
        self._display_px = display_px
        self.coarse = 0

    def read(self, image: "pd.Series[Any]", window: tuple[int, int, int, int]) -> tuple[NDArray[np.uint8], str]:
        """Return a film's grey values, and a note where they are not its own resolution's."""
        pixels = self._source(image)
        if pixels is not None:
            return self._shrunk(pixels), ""
        self.coarse += 1
        stored = self._store.shard(int(image["shard"]))[int(image["index"])]
        part = np.asarray(stored[window[0] : window[1], window[2] : window[3]], np.float32)
        return _grey8(part / np.float32(np.iinfo(stored.dtype).max)), _COARSE

    def _source(self, image: "pd.Series[Any]") -> NDArray[np.float32] | None:
        if self._root is None or not (self._root / str(image["source"])).is_file():
            return None
        try:
            film = read_film(self._root / str(image["source"]), None)
        except ImageError:
            return None
        return film.pixels if film.pixel_sha256 == image["pixel_sha256"] else None

    def _shrunk(self, pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
        rows, cols = pixels.shape
        factor = min(1.0, self._display_px / max(rows, cols))
        if factor == 1.0:
            return _grey8(pixels)
        size = (max(1, round(cols * factor)), max(1, round(rows * factor)))
        shrunk = Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BOX)
        return _grey8(np.asarray(shrunk, np.float32))


def _grey8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
