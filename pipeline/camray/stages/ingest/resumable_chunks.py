"""Unfinished ingest work, chunk by chunk: what is written is never done twice, and ends in the same bytes.

Files are taken in sorted order, so many at a time. A chunk's pixels and glances are written first and its facts last:
facts on disk are the proof that the chunk is done. When everything else is written, the kept rows of each chunk become
one shard of the store and the parts go.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.pixel_store import ShardWriter, open_shard, shard_path, write_shard
from camray.adapters.run_folder import read_table, write_table
from camray.core.imaging.film_statistics import HISTOGRAM_BINS, THUMBNAIL_SIDE, TILE_SIDE
from camray.domain.errors import PipelineError
from camray.io.artifacts import UnfinishedIngestFiles
from camray.stages.ingest.film_worker import FilmRow, printable

GLANCE_NUMBERS = HISTOGRAM_BINS + THUMBNAIL_SIDE**2 + 2 * TILE_SIDE**2
_TEXTS = ("spacing_source", "photometric", "transfer_syntax", "modality", "view", "laterality", "sex", "site", "maker",
          "doubt")  # fmt: skip
_NUMBERS = ("row_spacing_mm", "col_spacing_mm", "scale_x", "scale_y", "offset_x", "offset_y", "age_years")
_GREYS = ("grey_mean", "grey_deviation", "grey_low", "grey_median", "grey_high")
FACT_COLUMNS: dict[str, str] = {
    **dict.fromkeys(("source", "image_id", "patient_key", "patient_source", "study_key", "pixel_sha256"), "string"),
    **dict.fromkeys(("reason", "message"), "string"),  # reason: empty for a film that could be read
    **dict.fromkeys(("rows", "cols", "bits_stored", "part", "row"), "int32"),
    **dict.fromkeys(_TEXTS, "string"),
    **dict.fromkeys((*_NUMBERS, *_GREYS), "float64"),
}


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

    def facts(self) -> pd.DataFrame:
        """Return the facts of all files, in order of their sources."""
        tables = [read_table(self._files.rows(part), FACT_COLUMNS) for part in range(len(self.chunks))]
        return pd.concat(tables, ignore_index=True)

    def glances(self, facts: pd.DataFrame) -> NDArray[np.float32]:
        """Return the glances of some films, [len(facts), 384]."""
        found = np.empty((len(facts), GLANCE_NUMBERS), np.float32)
        for part, rows in facts.reset_index(drop=True).groupby("part"):
            shard = open_shard(self._files.statistics(int(str(part))))
            found[rows.index.to_numpy()] = shard[rows["row"].to_numpy()]
        return found

    def to_store(self, store: Path, kept: pd.DataFrame) -> None:
        """Turn each chunk's kept rows into a shard, and drop the parts.

        Parameters
        ----------
        store : Path
            The pixel store's folder.
        kept : DataFrame
            Facts of the films that stay, in order.
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
        facts = []
        with (
            ShardWriter(self._files.pixels(part), self.shape_rc, self.dtype) as pixels,
            ShardWriter(self._files.statistics(part), (GLANCE_NUMBERS,), np.float32) as glances,
        ):
            for source, row in zip(self.chunks[part], rows, strict=False):
                if row.facts["source"] != printable(source):
                    raise PipelineError(f"'{source}' came back as '{row.facts['source']}'; films are out of order")
                facts.append({**row.facts, "part": part, "row": pixels.count})
                if row.pixels is not None and row.glance is not None:
                    pixels.append(row.pixels)
                    glances.append(row.glance)
                yield 1
        if len(facts) != len(self.chunks[part]):
            raise PipelineError(f"{len(self.chunks[part]) - len(facts)} file(s) came back neither read nor refused")
        write_table(self._files.rows(part), _typed(facts), FACT_COLUMNS)

    def _is_done(self, part: int) -> bool:
        path = self._files.rows(part)
        if not path.is_file():
            return False
        facts = read_table(path, FACT_COLUMNS)
        if list(facts["source"]) != [printable(source) for source in self.chunks[part]]:
            return False
        try:
            counts = {len(open_shard(path)) for path in (self._files.pixels(part), self._files.statistics(part))}
        except PipelineError:
            return False
        return counts == {int((facts["reason"] == "").sum())}


def chunked(sources: Sequence[str], size: int) -> tuple[tuple[str, ...], ...]:
    """Cut a sequence into chunks of `size`; the last may be shorter."""
    return tuple(tuple(sources[start : start + size]) for start in range(0, len(sources), size))


def _typed(facts: list[dict[str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(facts, columns=list(FACT_COLUMNS))
    for column, kind in FACT_COLUMNS.items():
        if kind == "string":
            table[column] = table[column].astype("string").fillna("")
        elif kind == "int32":
            table[column] = table[column].fillna(0)
    return table.astype(FACT_COLUMNS)
