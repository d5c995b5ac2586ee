"""Matching of table rows to films."""

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.manifest import Key

NOT_FOUND, AMBIGUOUS = -1, -2
_ANY: tuple[Key, ...] = ("image_id", "path", "file_name", "stem")


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
            What the keys are; ``any`` tries image_id, path, file_name and stem in this order.
            ``file_name`` uses the last part of keys that are paths; ``joined_path`` is ``patient_study_view`` for
            ``patient/study/view.*``, and accepts such paths as keys too.

        Returns
        -------
        ndarray of shape (len(keys),), int64
            Position of the film; `NOT_FOUND`, or `AMBIGUOUS` if several usable films have that name.
        """
        films = np.full(len(keys), NOT_FOUND, dtype=np.int64)
        for kind in _ANY if key_is == "any" else (key_is,):
            open_rows = np.flatnonzero(films == NOT_FOUND)
            if open_rows.size == 0:
                break
            films[open_rows] = self._match_one(keys.iloc[open_rows], kind)
        return films

    def _match_one(self, keys: "pd.Series[str]", kind: Key) -> NDArray[np.int64]:
        names = self._names(kind)
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

    def _names(self, kind: Key) -> "pd.Series[str]":
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


def _joined(source: str) -> str:
    path = PurePosixPath(source)
    return "_".join((*path.parts[-3:-1], path.stem))
