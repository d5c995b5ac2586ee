"""Memory-mapped shards of films on the model grid: ``<stem>-00000.npy``, each written atomically."""

import io
import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camray.domain.errors import PipelineError

OPEN_SHARDS = 64


def shard_path(folder: Path, shard: int, stem: str = "films") -> Path:
    """Return the path of a shard."""
    return folder / f"{stem}-{shard:05d}.npy"


class ShardWriter:
    """Writes one shard row by row, with one row in memory; the file appears only after a clean exit.

    Parameters
    ----------
    path : Path
        Path of the shard.
    row_shape : tuple of int
        Shape of a row.
    dtype : numpy dtype
        Of the shard.
    """

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: Any) -> None:
        self._path, self._temporary = path, path.with_name(path.name + ".tmp")
        self._row_shape, self._dtype = row_shape, np.dtype(dtype)
        self.count = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self._temporary.open("wb")
        self._stream.write(self._header())

    def append(self, row: NDArray[Any]) -> None:
        """Add a row.

        Raises
        ------
        ValueError
            If its shape or type differs from the shard's.
        """
        if row.shape != self._row_shape or row.dtype != self._dtype:
            raise ValueError(f"row is {row.shape} {row.dtype}, expected {self._row_shape} {self._dtype}")
        self._stream.write(np.ascontiguousarray(row).tobytes())
        self.count += 1

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self._stream.seek(0)
            self._stream.write(self._header())  # now with the final count; NumPy pads headers to one length
            self._stream.flush()
            os.fsync(self._stream.fileno())
        self._stream.close()
        if error is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)

    def _header(self) -> bytes:
        stream = io.BytesIO()
        shape = (self.count, *self._row_shape)
        described = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, described)
        return stream.getvalue()


def write_shard(path: Path, rows: Iterable[NDArray[Any]], row_shape: tuple[int, ...], dtype: Any) -> int:
    """Write a shard from an iterable, and return its number of rows; see `ShardWriter`."""
    with ShardWriter(path, row_shape, dtype) as writer:
        for row in rows:
            writer.append(row)
    return writer.count


def open_shard(path: Path) -> NDArray[Any]:
    """Map a shard into memory, read-only.

    Raises
    ------
    PipelineError
        If the file is missing, truncated or not a shard.
    """
    try:
        shard: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PipelineError(
            f"{path}: not a readable shard ({type(error).__name__}); run the stage that writes it again"
        ) from error
    return shard


class PixelStore:
    """Reads rows of many shards, of which at most `max_open` are mapped at a time.

    Parameters
    ----------
    folder : Path
        Folder of the shards.
    stem : str
        First part of their names.
    max_open : int
        Largest number of mapped shards: their pages that were read count as memory.
    """

    def __init__(self, folder: Path, stem: str = "films", max_open: int = OPEN_SHARDS) -> None:
        self._folder, self._stem, self._max_open = folder, stem, max_open
        self._open: OrderedDict[int, NDArray[Any]] = OrderedDict()

    def shard(self, number: int) -> NDArray[Any]:
        """Return one shard, mapped: [n, ...]."""
        if number not in self._open:
            self._open[number] = open_shard(shard_path(self._folder, number, self._stem))
            if len(self._open) > self._max_open:
                self._open.popitem(last=False)
        self._open.move_to_end(number)
        return self._open[number]

    def rows(self, shards: Sequence[int], indices: Sequence[int]) -> NDArray[Any]:
        """Copy rows, in the given order.

        Parameters
        ----------
        shards, indices : sequence of int
            Of equal length, at least one: columns ``shard`` and ``index`` of the images table.

        Returns
        -------
        ndarray of shape (len(shards), ...)
            A copy in memory, in the type of the store.
        """
        return np.stack([self.shard(int(shard))[int(index)] for shard, index in zip(shards, indices, strict=True)])
