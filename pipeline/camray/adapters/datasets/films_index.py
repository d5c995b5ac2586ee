"""Matching of table rows to films."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.manifest import Key

NOT_FOUND, AMBIGUOUS = -1, -2
_Kind = Key | Literal["path_end"]
_ANY: tuple[_Kind, ...] = ("image_id", "path", "path_end", "file_name", "stem")


@dataclass(frozen=True, eq=False)
class FilmIndex:
    """The films of a data set, by the names that tables may use.

    Parameters
    ----------
    image_ids, sources : Series of str
        One row per film; `sources` are relative to the root, with ``/``.
    usable : ndarray of shape (N,), bool
        False for refused films: rows about them are no faults, and are not used.
    """

    image_ids: "pd.Series[str]"
    sources: "pd.Series[str]"
    usable: NDArray[np.bool_]

    def match(self, keys: "pd.Series[str]", key_is: Key) -> NDArray[np.int64]:
        """Return the film of each key.

        Parameters
        ----------
        keys : Series of str
            Without missing values.
        key_is : str
            What the keys are; ``any`` tries image_id, path, the end of a path (at least one folder and the file name),
            file_name and stem in this order. ``file_name`` uses the last part of keys that are paths; ``joined_path``
            is ``patient_study_view`` for ``patient/study/view.*``, and accepts such paths as keys too.

        Returns
        -------
        ndarray of shape (len(keys),), int64
            Position of the film; `NOT_FOUND`, or `AMBIGUOUS` if several usable films have that name.
        """
        films = np.full(len(keys), NOT_FOUND, dtype=np.int64)
        for kind in kinds_of(key_is):
            open_rows = np.flatnonzero(films == NOT_FOUND)
            if open_rows.size == 0:
                break
            matched = self._match_one(keys.iloc[open_rows], kind)
            if key_is == "any" and kind in {"path_end", "file_name"}:
                matched = _of_one_path(matched, keys.iloc[open_rows], films)
            films[open_rows] = matched
        return films

    def _match_one(self, keys: "pd.Series[str]", kind: _Kind) -> NDArray[np.int64]:
        if kind == "path_end":
            return self._matchpath_ends(keys)
        names = self.names(kind)
        if kind == "file_name":
            keys = keys.map(lambda key: key.rsplit("/", 1)[-1])
        if kind == "joined_path":
            keys = keys.map(lambda key: _joined(key) if "/" in key else key)
        order = np.argsort(~self.usable, kind="stable")  # usable films first, so that they win over refused ones
        ordered = pd.Index(names.to_numpy()[order])
        first = ~ordered.duplicated()
        index = ordered[first].get_indexer(pd.Index(keys.to_numpy()))
        position = np.where(index >= 0, order[first][index], NOT_FOUND)
        ambiguous = set(names[self.usable][names[self.usable].duplicated()])
        if ambiguous:
            position[keys.isin(ambiguous).to_numpy()] = AMBIGUOUS
        return np.asarray(position, dtype=np.int64)

    def _matchpath_ends(self, keys: "pd.Series[str]") -> NDArray[np.int64]:
        """Match keys that are paths from another folder than the root: the longest common end, of two parts or more."""
        films = np.full(len(keys), NOT_FOUND, dtype=np.int64)
        texts, sources = keys.tolist(), self.sources.tolist()
        paths = [position for position, key in enumerate(texts) if "/" in key]
        if not paths:
            return films
        ends: dict[str, int] = {}
        for film in np.argsort(self.usable, kind="stable"):  # usable films last, so that they win
            for end in path_ends(sources[film]):
                is_taken = end in ends and ends[end] != AMBIGUOUS and self.usable[ends[end]]
                ends[end] = AMBIGUOUS if is_taken else int(film)
        for position in paths:
            films[position] = next((ends[end] for end in path_ends(texts[position]) if end in ends), NOT_FOUND)
        films[films == AMBIGUOUS] = NOT_FOUND
        return films

    def names(self, kind: _Kind) -> "pd.Series[str]":
        """Return the name of each film that keys of a kind use."""
        match kind:
            case "image_id":
                return self.image_ids
            case "path":
                return self.sources
            case "joined_path":
                return self.sources.map(_joined)
            case "file_name":
                return self.sources.map(lambda source: PurePosixPath(source).name)
            case _:
                return self.sources.map(lambda source: PurePosixPath(source).stem)


def kinds_of(key_is: Key) -> tuple[_Kind, ...]:
    """Return the kinds of names that keys may be, in the order in which they are tried."""
    return _ANY if key_is == "any" else (key_is,)


def _of_one_path(matched: NDArray[np.int64], keys: "pd.Series[str]", earlier: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop matches by the end of a path where the film is named better, or where several paths end alike."""
    by_path = keys.str.contains("/", regex=False).to_numpy(dtype=bool) & (matched >= 0)
    pairs = pd.DataFrame({"film": matched[by_path], "key": keys.to_numpy()[by_path]}).drop_duplicates()
    unclear = {*pairs["film"][pairs["film"].duplicated()], *earlier[earlier >= 0]}
    return np.where(by_path & np.isin(matched, list(unclear)), NOT_FOUND, matched) if unclear else matched


def path_ends(path: str) -> list[str]:
    """Return the ends of a path with at least two parts, longest first."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts) - 1)]


def _joined(source: str) -> str:
    path = PurePosixPath(source)
    return "_".join((*path.parts[-3:-1], path.stem))
