"""List of the films that several processes read in parts: made once, read by all, compared by each for its share."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.domain.errors import IncompleteError, PipelineError
from camray.io.artifact_types import ArtifactFolder, path_of, table_of

_COLUMNS = {"source": "object", "size": "int64", "mtime_ns": "int64"}  # paths as bytes: not all are valid text
_SECOND = 1_000_000_000  # ns; copies keep times to the second


class FilmListFiles(ArtifactFolder):
    """Files of a list, beside the parts that read it."""

    films = table_of("films.parquet", _COLUMNS)
    about = path_of("films.json")


@dataclass(frozen=True, eq=False)
class FilmList:
    """Films in the order in which they are read.

    Parameters
    ----------
    data : str
        Digest of films and tables, as the stage's record has it.
    films : DataFrame
        Columns ``source`` (path below the root, as bytes), ``size`` (bytes) and ``mtime_ns``.
    """

    data: str
    films: pd.DataFrame

    @property
    def sources(self) -> list[str]:
        """Paths below the root, with ``/``."""
        return [os.fsdecode(source) for source in self.films["source"]]


def write_film_list(folder: Path, root: Path, sources: Sequence[str], data: str) -> FilmList:
    """Write the list of these films below `root`, with their sizes and times now; `data` as in `FilmList`."""
    statuses = [(root / source).stat() for source in sources]
    films = pd.DataFrame(
        {
            "source": [os.fsencode(source) for source in sources],
            "size": [status.st_size for status in statuses],
            "mtime_ns": [status.st_mtime_ns for status in statuses],
        }
    )
    files = FilmListFiles(folder)
    files.films.write(films)
    write_json(files.about, {"data": data, "sha256": file_digest(files.films.path)})  # last: proves the list
    return FilmList(data, films)


def read_film_list(folder: Path) -> FilmList | None:
    """Return the list in a folder, or None where there is none or it is damaged."""
    files = FilmListFiles(folder)
    try:
        about = json.loads(files.about.read_text(encoding="utf-8"))
        if file_digest(files.films.path) != about["sha256"]:
            return None
        return FilmList(str(about["data"]), files.films.read())
    except (OSError, ValueError, KeyError, TypeError, PipelineError):
        return None


def check_films(listed: FilmList, rows: Sequence[int], root: Path) -> None:
    """Compare some films with the list: size, and time to the second.

    Parameters
    ----------
    listed : FilmList
        The list.
    rows : sequence of int
        Films to compare, by their row.
    root : Path
        Their folder, on this machine.

    Raises
    ------
    IncompleteError
        If one is missing or differs. It is named by its row, as paths may hold names.
    """
    share = listed.films.iloc[list(rows)]
    different = []
    for row, source, size, mtime_ns in zip(rows, share["source"], share["size"], share["mtime_ns"], strict=True):
        try:
            status = (root / os.fsdecode(source)).stat()
        except OSError:
            different.append(row)
            continue
        if status.st_size != size or status.st_mtime_ns // _SECOND != mtime_ns // _SECOND:
            different.append(row)
    if different:
        raise IncompleteError(
            f"{root}: {len(different)} of the {len(share)} films of this part are missing or differ in size or time "
            f"from the list that all parts read (first: row {different[0]}, counted from 0), expected the same films "
            "on all machines; mount them, or copy them with their times (rsync -a), and repeat the part; if they have "
            "changed on purpose, delete the folder with the list and begin the parts again"
        )
