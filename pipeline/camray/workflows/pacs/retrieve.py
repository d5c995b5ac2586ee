"""Films from a PACS into a folder, which ingest then reads.

Reads   what the other side lists
Writes  one DICOM file a film; a file that is there is not fetched again
Run     ``camray fetch dicomweb https://pacs.example/dicom-web --out films --date 20260101-20260131``
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from camray.adapters.progress import progress
from camray.adapters.run_folder import write_bytes
from camray.domain.delivery import FilmQuery, ObjectKey, UnreachableError
from camray.domain.errors import IncompleteError, InputRefusedError, SettingsError
from camray.domain.file_names import file_names


class Archive(Protocol):
    """Where films come from. Both raise UnreachableError where no answer came."""

    @property
    def address(self) -> str:
        """Return the address, without secrets."""

    def find(self, query: FilmQuery) -> Iterator[ObjectKey]:
        """List films."""

    def fetch(self, key: ObjectKey) -> bytes:
        """Return one film as a file."""


@dataclass
class Fetched:
    """What came: films fetched now, films there from before, and what was not handed out with its reason."""

    folder: Path
    fetched: int = 0
    already: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return a JSON-able mapping."""
        return {
            "folder": str(self.folder), "fetched": self.fetched, "already_there": self.already,
            "refused": self.refused,
        }  # fmt: skip


def fetch_films(
    archive: Archive, query: FilmQuery, out: Path, attempts: int, wait_s: Callable[[int], float],
    wait: Callable[[float], None],
) -> Fetched:  # fmt: skip
    """Fetch all films of a query.

    Parameters
    ----------
    archive : Archive
        Where from.
    query : FilmQuery
        Which.
    out : Path
        Folder, made if it is missing. Each file appears whole or not at all.
    attempts : int
        Tries for the list and for each film.
    wait_s, wait : callable
        Seconds to wait after an attempt, and the waiting.

    Raises
    ------
    InputRefusedError
        If the other side lists no film.
    IncompleteError
        If it stays out of reach; what came is kept, and the next call goes on.
    """
    keys = _patiently(lambda: sorted(set(archive.find(query))), attempts, wait_s, wait)
    if not keys:
        raise InputRefusedError(f"{archive.address}: lists no film that was asked for")
    names = file_names(key.sop_instance_uid for key in keys)
    out.mkdir(parents=True, exist_ok=True)
    done = Fetched(out)
    for key in progress(keys, len(keys), "fetching films"):
        path = out / f"{names[key.sop_instance_uid]}.dcm"
        if path.is_file():
            done.already += 1
            continue
        try:
            content = _patiently(lambda key=key: archive.fetch(key), attempts, wait_s, wait)  # type: ignore[misc]
        except SettingsError as error:
            done.refused[key.sop_instance_uid] = str(error)
            continue
        write_bytes(path, content)
        done.fetched += 1
    return done


def _patiently(
    ask: Callable[[], Any], attempts: int, wait_s: Callable[[int], float], wait: Callable[[float], None]
) -> Any:
    for attempt in range(1, attempts + 1):
        try:
            return ask()
        except UnreachableError as error:
            if attempt == attempts:
                raise IncompleteError(f"{error}; the same command goes on where it stopped") from None
            wait(wait_s(attempt))
    return None
