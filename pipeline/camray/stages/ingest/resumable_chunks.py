"""Chunks of an unfinished ingest: a resumed run repeats no finished chunk and ends in the same bytes.

Files are taken in sorted order, a fixed number per chunk. The pixels and image statistics of a chunk are written first
and its records last: records on disk prove that the chunk is complete. At the end the kept rows of each chunk become
one shard of the store, and the chunks are deleted.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.pixel_store import ShardWriter, open_shard, shard_path, write_shard
from camray.adapters.pseudonyms import KEY_VARIABLE, is_key_fingerprint
from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.tables import read_table, write_table
from camray.core.imaging.film_statistics import HISTOGRAM_BINS, THUMBNAIL_SIDE, TILE_SIDE
from camray.domain.errors import PipelineError, SettingsError
from camray.io.artifacts import UnfinishedIngestFiles
from camray.stages.ingest.film_worker import FilmRow, printable
from camray.stages.ingest.ingest_record import RECORD_COLUMNS

STATISTICS_NUMBERS = HISTOGRAM_BINS + THUMBNAIL_SIDE**2 + 2 * TILE_SIDE**2


@dataclass(frozen=True)
class Parts:
    """The chunks of one ingest.

    Parameters
    ----------
    folder : Path
        Where they lie; belongs to this stage alone.
    shape_rc : (int, int)
        Model grid.
    bits : int
        8 or 16.
    chunks : tuple of tuple of str
        Sources of each chunk.
    """

    folder: Path
    shape_rc: tuple[int, int]
    bits: int
    chunks: tuple[tuple[str, ...], ...]

    @property
    def _files(self) -> UnfinishedIngestFiles:
        return UnfinishedIngestFiles(self.folder)

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Type of the stored pixels."""
        return np.uint8 if self.bits == 8 else np.uint16

    def belong_to(self, fingerprint: str) -> None:
        """Bind the chunks to the key that their pseudonyms are made with; chunks of an unknown key are deleted.

        One patient has another pseudonym under another key, and would get into two splits.

        Raises
        ------
        SettingsError
            If the chunks that are already there were made with another key.
        """
        file = self._files.key_fingerprint
        known = file.read_bytes().decode("ascii", "replace") if file.is_file() else ""
        if not is_key_fingerprint(known):
            if self.folder.is_dir():
                shutil.rmtree(self.folder)
            write_bytes(file, fingerprint.encode())
        elif known != fingerprint:
            raise SettingsError(
                f"{self.folder}: this ingest was begun with another key for pseudonyms (fingerprint {known}) than the "
                f"one given now ({fingerprint}), expected the same; name the first key's file in {KEY_VARIABLE}, or "
                f"delete {self.folder} to read all films again"
            )

    def fill(self, read: Callable[[Sequence[str]], Iterable[FilmRow]]) -> Iterator[int]:
        """Read whatever chunks are not there yet, in order.

        Parameters
        ----------
        read : callable
            Sources to their rows, one each, in order.

        Yields
        ------
        int
            1 for each file read, and the size of each chunk that was already there.
        """
        missing = [part for part in range(len(self.chunks)) if not self._is_done(part)]
        yield sum(len(self.chunks[part]) for part in range(len(self.chunks)) if part not in set(missing))
        rows = iter(read([source for part in missing for source in self.chunks[part]]))
        for part in missing:
            yield from self._fill_one(part, rows)

    def records(self) -> pd.DataFrame:
        """Return the records of all files, in order of their sources."""
        tables = [read_table(self._files.rows(part), RECORD_COLUMNS) for part in range(len(self.chunks))]
        return pd.concat(tables, ignore_index=True)

    def statistics(self, films: pd.DataFrame) -> NDArray[np.float32]:
        """Return the image statistics of some films, [len(films), 384]."""
        values = np.empty((len(films), STATISTICS_NUMBERS), np.float32)
        for part, rows in films.reset_index(drop=True).groupby("part"):
            shard = open_shard(self._files.statistics(int(str(part))))
            values[rows.index.to_numpy()] = shard[rows["row"].to_numpy()]
        return values

    def to_store(self, store: Path, kept: pd.DataFrame) -> None:
        """Turn each chunk's kept rows into a shard, and drop the parts.

        Parameters
        ----------
        store : Path
            The pixel store's folder.
        kept : DataFrame
            Records of the films that stay, in order.
        """
        store.mkdir(exist_ok=True)
        for part in range(len(self.chunks)):
            source, target = self._files.pixels(part), shard_path(store, part)
            rows = kept.loc[kept["part"] == part, "row"].to_numpy()
            shard = open_shard(source)
            if len(rows) == len(shard) and len(rows):
                source.replace(target)
            elif len(rows):
                write_shard(target, (np.asarray(shard[row]) for row in rows), self.shape_rc, self.dtype)
            else:
                target.unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    def _fill_one(self, part: int, rows: Iterator[FilmRow]) -> Iterator[int]:
        records = []
        with (
            ShardWriter(self._files.pixels(part), self.shape_rc, self.dtype) as pixels,
            ShardWriter(self._files.statistics(part), (STATISTICS_NUMBERS,), np.float32) as statistics,
        ):
            for source, row in zip(self.chunks[part], rows, strict=False):
                if row.record.source != printable(source):
                    raise PipelineError(f"'{source}' came back as '{row.record.source}'; films are out of order")
                records.append({**asdict(row.record), "part": part, "row": pixels.count})
                if row.pixels is not None and row.statistics is not None:
                    pixels.append(row.pixels)
                    statistics.append(row.statistics)
                yield 1
        if len(records) != len(self.chunks[part]):
            raise PipelineError(f"{len(self.chunks[part]) - len(records)} file(s) were neither read nor refused")
        write_table(self._files.rows(part), _typed(records), RECORD_COLUMNS)

    def _is_done(self, part: int) -> bool:
        path = self._files.rows(part)
        if not path.is_file():
            return False
        try:
            records = read_table(path, RECORD_COLUMNS)
        except PipelineError:  # damaged
            return False
        if list(records["source"]) != [printable(source) for source in self.chunks[part]]:
            return False
        try:
            counts = {len(open_shard(path)) for path in (self._files.pixels(part), self._files.statistics(part))}
        except PipelineError:
            return False
        return counts == {int((records["reason"] == "").sum())}


def chunked(sources: Sequence[str], size: int) -> tuple[tuple[str, ...], ...]:
    """Cut a sequence into chunks of `size`; the last may be shorter."""
    return tuple(tuple(sources[start : start + size]) for start in range(0, len(sources), size))


def _typed(records: list[dict[str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(records, columns=list(RECORD_COLUMNS))
    for column, kind in RECORD_COLUMNS.items():
        if kind == "string":
            table[column] = table[column].astype("string").fillna("")
        elif kind == "int32":
            table[column] = table[column].fillna(0)
    return table.astype(RECORD_COLUMNS)
