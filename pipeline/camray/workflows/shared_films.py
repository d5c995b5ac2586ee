"""Films of an ingest by parts: listed by the first part, and read by each for its share.

Reads   the films' folder once; ``parts/ingest-KEY/films.parquet`` from then on.
Writes  that list.
Run     ``camray ingest configs/folder.yaml --part 1/5``
"""

from collections.abc import Callable
from pathlib import Path

from camray.adapters.progress import progress_line
from camray.adapters.run_folders.part_folders import PartFolder
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.domain.errors import IncompleteError
from camray.io.film_list import FilmList, check_films, read_film_list, write_film_list
from camray.stages.ingest import stage as ingest


def listed_films(settings: Settings, folder: RunFolder, where: Path, digest: Callable[[], str]) -> FilmList:
    """Return the films that all parts read; the first one that asks lists them.

    Parameters
    ----------
    settings : Settings
        Of the run.
    folder : RunFolder
        Of the run.
    where : Path
        Folder of the parts; whoever calls keeps other parts from listing meanwhile.
    digest : callable
        Digest of films and tables; reads sizes and times of all files, so it is called for a new list only.
    """
    if (listed := read_film_list(where)) is not None:
        return listed
    progress_line("ingest", "listing the films for all parts")
    before = digest()
    root, sources = ingest.list_sources(settings, folder)
    return write_film_list(where, root, sources, before)


def ingest_part(settings: Settings, folder: RunFolder, part: PartFolder) -> None:
    """Read the films of one part.

    Raises
    ------
    IncompleteError
        If there is no list of the films, or they are not as listed.
    """
    listed = read_film_list(part.folder.parent)
    if listed is None:
        raise IncompleteError(f"{part.folder.parent}: the list of the films is missing or damaged; repeat the part")
    per_chunk = settings.ingest.shard_films
    own = [row for row in range(len(listed.films)) if part.part.owns(row // per_chunk)]
    check_films(listed, own, ingest.films_root(settings, folder))
    ingest.run_part(settings, folder, part, listed.sources)
