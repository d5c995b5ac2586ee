"""Films from a PACS, fetched into a folder.

Reads   the films that the PACS lists
Writes  one DICOM file per film; an existing file is not fetched again
Run     ``camray fetch dicomweb https://pacs.example/dicom-web --out films --date 20260101-20260131``
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from camray.adapters.progress import progress
from camray.adapters.run_folders.atomic_files import write_bytes
from camray.domain.delivery import FilmQuery, ObjectKey
from camray.domain.errors import InputRefusedError, RequestRefusedError
from camray.domain.file_names import file_names
from camray.workflows.pacs.retry import RetryPolicy


class Archive(Protocol):
    """A source of films. Both methods raise `PeerError`: `UnreachableError` if no complete answer arrived."""

    @property
    def address(self) -> str:
        """Return the address, without secrets."""

    def find(self, query: FilmQuery) -> Iterator[ObjectKey]:
        """List films."""

    def fetch(self, key: ObjectKey) -> bytes:
        """Return one film as a file."""


@dataclass
class Fetched:
    """Films fetched now, films fetched before, and refused ones with the reason."""

    folder: Path
    fetched: int = 0
    already: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return a JSON-able mapping."""
        return {
            "folder": str(self.folder),
            "fetched": self.fetched,
            "already_there": self.already,
            "refused": self.refused,
        }


def fetch_films(archive: Archive, query: FilmQuery, out: Path, retry: RetryPolicy) -> Fetched:
    """Fetch all films of a query.

    Parameters
    ----------
    archive : Archive
        Source.
    query : FilmQuery
        Which films.
    out : Path
        Folder, created if missing. Each file appears whole or not at all.
    retry : RetryPolicy
        Attempts for the list and for each film.

    Raises
    ------
    InputRefusedError
        If the PACS lists no matching film.
    UnreachableError
        If the PACS stays unreachable; fetched files are kept, and the next call resumes.
    AuthenticationError
        If the PACS rejects the credentials: no further film is requested.
    """
    keys = retry.call(lambda: sorted(set(archive.find(query))))
    if not keys:
        raise InputRefusedError(f"{archive.address}: lists no matching film; check --study, --date and --modality")
    names = file_names(key.sop_instance_uid for key in keys)
    out.mkdir(parents=True, exist_ok=True)
    done = Fetched(out)
    for key in progress(keys, len(keys), "fetching films"):
        path = out / f"{names[key.sop_instance_uid]}.dcm"
        if path.is_file():
            done.already += 1
            continue
        try:
            content = retry.call(partial(archive.fetch, key))
        except RequestRefusedError as error:
            done.refused[key.sop_instance_uid] = str(error)
            continue
        write_bytes(path, content)
        done.fetched += 1
    return done
