"""Where the films and tables of an ingest come from."""

from dataclasses import dataclass
from pathlib import Path

from camray.adapters.datasets.film_files import FilmFiles, list_films
from camray.adapters.datasets.manifest import Manifest
from camray.adapters.datasets.table_paths import TablePaths, own_table_files
from camray.adapters.object_stores import address_of
from camray.domain.errors import InputRefusedError
from camray.domain.file_names import printable
from camray.domain.labels import Finding
from camray.stages.ingest.store_source import StoreFolder

SHOWN_UNREAD = 5


@dataclass(frozen=True)
class Source:
    """Where films and tables come from.

    Parameters
    ----------
    root : Path
        Folder that sources are relative to.
    tables : TablePaths
        Tables to be read.
    manifest : Manifest
        What they mean.
    fixed : tuple of Finding
        A trained run's findings; empty for a run that trains.
    leave_out : tuple of str
        Findings of the tables that a run that trains does not use.
    only : str
        The one film that is read, below `root`; empty for all.
    store : StoreFolder or None
        Where the films are in place of `root`, which has the tables then.
    """

    root: Path
    tables: TablePaths
    manifest: Manifest
    fixed: tuple[Finding, ...]
    leave_out: tuple[str, ...] = ()
    only: str = ""
    store: StoreFolder | None = None

    @property
    def films_root(self) -> Path:
        """Folder or address that the films' names are relative to."""
        return self.root if self.store is None else self.store.root

    @property
    def is_training(self) -> bool:
        """Tell whether the films are to train a network."""
        return not self.fixed


def list_source(source: Source) -> FilmFiles:
    """List the films.

    Raises
    ------
    InputRefusedError
        If there are none.
    """
    if source.only:
        return FilmFiles([source.only])
    root, tables, manifest = source.films_root, source.tables, source.manifest
    include = manifest.films.include if source.is_training else ("**/*",)
    if source.store is not None:
        listed = source.store.films(manifest, include)
    else:
        not_films = {*own_table_files(manifest, root), *(path for path in (tables.labels, tables.boxes) if path)}
        listed = list_films(root, include, manifest.films.exclude, not_films)
    if not listed.sources:
        unread = "".join(f"; {entry.source}: {entry.message}" for entry in listed.unread[:SHOWN_UNREAD])
        what = f"no file matches {', '.join(include)} (data manifest '{manifest.name}')"
        raise InputRefusedError(f"{address_of(root)}: {what}{printable(unread)}")
    return listed
