"""Films in an object store as a source of ingest: one listing for a command, its tables in a temporary folder."""

import atexit
import shutil
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from camray.adapters.datasets.film_files import FilmFiles, UnreadEntry, films_of_names
from camray.adapters.datasets.manifest import Manifest
from camray.adapters.object_stores import Listing, StoredObject, is_store, list_store, read_object
from camray.domain.file_names import printable
from camray.domain.records import RefusalReason

_LISTED: dict[Path, "StoreFolder"] = {}


@dataclass(frozen=True)
class StoreFolder:
    """A folder of an object store as it was listed, and a temporary folder of its tables until the process ends."""

    root: Path
    listing: Listing
    tables: Path = field(default_factory=lambda: Path(tempfile.mkdtemp("-camray")))

    def fetch_tables(self, manifest: Manifest) -> None:
        """Copy the tables and split lists that a data manifest names; other objects stay where they are."""
        for name in self._table_names(manifest):
            target = self.tables / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(read_object(self.root / name, self.listing.objects[name]))

    def films(self, manifest: Manifest, include: Sequence[str]) -> FilmFiles:
        """Choose the films among the objects, by the rules for files of a folder."""
        tables = set(self._table_names(manifest))
        films = films_of_names(self.listing.objects, include, manifest.films.exclude, tables)
        what = "no name of a file in a folder: it has '.', '..' or nothing between two slashes; rename the object"
        films.unread.extend(UnreadEntry(name, RefusalReason.NOT_A_FILE, what) for name in self.listing.odd)
        return films

    def expected(self, sources: Collection[str]) -> dict[str, StoredObject]:
        """Return the objects of some films as they were listed, by the films' addresses."""
        return {str(self.root / source): self.listing.objects[source] for source in sources}

    def _table_names(self, manifest: Manifest) -> list[str]:
        named = _names(manifest)
        return [
            name
            for name in self.listing.objects
            if name in named or any(name.startswith(f"{folder}/") for folder in named)
        ]


def store_folder(root: Path) -> StoreFolder | None:
    """Return the folder at an address, listed once for a command; None for a local folder."""
    if not is_store(root):
        return None
    if root not in _LISTED:
        atexit.register(forget_stores)
        _LISTED[root] = StoreFolder(root, list_store(root))
    return _LISTED[root]


def forget_stores() -> None:
    """Let the next command list stores anew, and delete the copied tables."""
    while _LISTED:
        shutil.rmtree(_LISTED.popitem()[1].tables, ignore_errors=True)


def store_digest(folder: StoreFolder) -> list[tuple[str, int, str]]:
    """Return name, size and version of each object: what the digest of the data is of."""
    return [(printable(name), each.size, each.version) for name, each in folder.listing.objects.items()]


def _names(manifest: Manifest) -> set[str]:
    """Return all names that a manifest's tables and split lists may have, plain or compressed."""
    rules = (manifest.label_table, manifest.box_table, manifest.films.patient_table)
    names = {name for each in rules if each is not None for name in (each.file, *each.more, *each.instead.values())}
    plain = {name.removesuffix(".gz") for name in names | set(manifest.splits.values())}
    return plain | {f"{name}.gz" for name in plain} | names
