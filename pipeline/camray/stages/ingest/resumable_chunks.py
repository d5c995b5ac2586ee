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
from camray.domain.file_names import printable
from camray.io.artifacts import UnfinishedIngestFiles
from camray.stages.ingest.film_worker import FilmRow
from camray.stages.ingest.ingest_record import RECORD_COLUMNS

STATISTICS_NUMBERS = HISTOGRAM_BINS + THUMBNAIL_SIDE**2 + 2 * TILE_SIDE**2


@dataclass(frozen=True)
class Chunks:
    """The chunks of one ingest.

    Parameters
    ----------
    folder : Path
        Where they lie; belongs to this stage alone.
    shape_rc : (int, int)
        Model grid.
    bits : int
        8 or 16.
    sources : tuple of tuple of str
        Of each chunk.
    """

    folder: Path
    shape_rc: tuple[int, int]
    bits: int
    sources: tuple[tuple[str, ...], ...]

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

    def missing(self) -> list[int]:
        """List the chunks that are not there yet."""
        return [chunk for chunk in range(len(self.sources)) if not self._is_done(chunk)]

    def fill(
        self,
        chunks: Sequence[int],
        read: Callable[[Sequence[str]], Iterable[FilmRow]],
        finish: Callable[[int], None] = lambda _: None,
    ) -> Iterator[int]:
        """Read some chunks, in order.

        Parameters
        ----------
        chunks : sequence of int
            Which.
        read : callable
            Sources to their rows, one each, in order.
        finish : callable
            Called with each chunk that is complete.

        Yields
        ------
        int
            The chunk, for each file read.
        """
        rows = iter(read([source for chunk in chunks for source in self.sources[chunk]]))
        for chunk in chunks:
            for _ in self._fill_one(chunk, rows):
                yield chunk
            finish(chunk)

    def files_of(self, chunk: int) -> list[Path]:
        """Return the files of a chunk, the records last."""
        return [self._files.pixels(chunk), self._files.statistics(chunk), self._files.rows(chunk)]

    def records(self) -> pd.DataFrame:
        """Return the records of all files, in order of their sources."""
        tables = [read_table(self._files.rows(chunk), RECORD_COLUMNS) for chunk in range(len(self.sources))]
        return pd.concat(tables, ignore_index=True)

    def statistics(self, films: pd.DataFrame) -> NDArray[np.float32]:
        """Return the image statistics of some films, [len(films), 384]."""
        values = np.empty((len(films), STATISTICS_NUMBERS), np.float32)
        for chunk, rows in films.reset_index(drop=True).groupby("part"):
            shard = open_shard(self._files.statistics(int(str(chunk))))
            values[rows.index.to_numpy()] = shard[rows["row"].to_numpy()]
        return values

    def to_store(self, store: Path, kept: pd.DataFrame) -> None:
        """Turn each chunk's kept rows into a shard, and delete the chunks.

        Parameters
        ----------
        store : Path
            The pixel store's folder.
        kept : DataFrame
            Records of the films that stay, in order.
        """
        store.mkdir(exist_ok=True)
        for chunk in range(len(self.sources)):
            source, target = self._files.pixels(chunk), shard_path(store, chunk)
            rows = kept.loc[kept["part"] == chunk, "row"].to_numpy()
            shard = open_shard(source)
            if len(rows) == len(shard) and len(rows):
                source.replace(target)
            elif len(rows):
                write_shard(target, (np.asarray(shard[row]) for row in rows), self.shape_rc, self.dtype)
            else:
                target.unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    def _fill_one(self, chunk: int, rows: Iterator[FilmRow]) -> Iterator[int]:
        records = []
        with (
            ShardWriter(self._files.pixels(chunk), self.shape_rc, self.dtype) as pixels,
            ShardWriter(self._files.statistics(chunk), (STATISTICS_NUMBERS,), np.float32) as statistics,
        ):
            for source, row in zip(self.sources[chunk], rows, strict=False):
                if row.record.source != printable(source):
                    raise PipelineError(f"'{source}' came back as '{row.record.source}'; films are out of order")
                records.append({**asdict(row.record), "part": chunk, "row": pixels.count})
                if row.pixels is not None and row.statistics is not None:
                    pixels.append(row.pixels)
                    statistics.append(row.statistics)
                yield 1
        if len(records) != len(self.sources[chunk]):
            raise PipelineError(f"{len(self.sources[chunk]) - len(records)} file(s) were neither read nor refused")
        write_table(self._files.rows(chunk), _typed(records), RECORD_COLUMNS)

    def _is_done(self, chunk: int) -> bool:
        path = self._files.rows(chunk)
        if not path.is_file():
            return False
        try:
            records = read_table(path, RECORD_COLUMNS)
        except PipelineError:  # damaged
            return False
        if list(records["source"]) != [printable(source) for source in self.sources[chunk]]:
            return False
        try:
            counts = {len(open_shard(path)) for path in (self._files.pixels(chunk), self._files.statistics(chunk))}
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
