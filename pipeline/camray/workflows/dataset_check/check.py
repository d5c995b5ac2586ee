"""Check of a data set before it is ingested: what is present, what is missing, and what does not fit.

Reads   the data manifest, its tables and split lists, films' headers, and the pixels of a few films
Run     ``camray data check nih_chestxray14 --root FOLDER``
"""

from pathlib import Path

from camray.adapters.datasets.film_files import list_films
from camray.adapters.datasets.manifest_files import load_manifest
from camray.adapters.datasets.table_paths import own_table_files
from camray.domain.file_names import printable
from camray.workflows.dataset_check.films import (
    film_index,
    needs_all_headers,
    read_headers,
    read_pixels,
    spread_evenly,
)
from camray.workflows.dataset_check.report import MAX_LISTED, DataCheck
from camray.workflows.dataset_check.tables import check_tables, list_tables


def check_data(name: str, root: Path, headers: int = 2000, pixels: int = 24) -> DataCheck:
    """Check a data set without ingesting it.

    Parameters
    ----------
    name : str
        Data manifest.
    root : Path
        Folder that would be ``data.root``.
    headers : int
        Maximum number of films whose header is read, evenly spread; 0 reads all. All are also read where only the
        header links a film to its row in the tables.
    pixels : int
        Number of films whose pixels are read too, evenly spread.

    Returns
    -------
    DataCheck
        It has no identifier of a patient or film.

    Raises
    ------
    ManifestError
        If there is no such manifest.
    """
    manifest = load_manifest(name)
    report = DataCheck(manifest.name, root)
    if not root.is_dir():
        report.wrong.append(f"{root}: no such folder; to obtain the data: {manifest.how_to_obtain}")
        return report
    paths = list_tables(manifest, root, report)
    listed = list_films(root, manifest.films.include, manifest.films.exclude, set(own_table_files(manifest, root)))
    sources = listed.sources
    report.counts["films"] = len(sources)
    report.counts["ignored"] = dict(sorted(listed.ignored.items()))
    report.notes += [f"{printable(entry.source)}: not read: {entry.message}" for entry in listed.unread[:MAX_LISTED]]
    if len(listed.unread) > MAX_LISTED:
        report.notes.append(f"{len(listed.unread)} files and folders are not read, the first {MAX_LISTED} are above")
    report.compare_with_published(manifest, "films", len(sources))
    if not sources:
        report.wrong.append(f"no file matches {', '.join(manifest.films.include)}; to obtain: {manifest.how_to_obtain}")
        return report
    film_headers = read_headers(
        root, sources, spread_evenly(len(sources), 0 if needs_all_headers(manifest) else headers), report
    )
    index = film_index(manifest, sources, film_headers)
    if paths is not None:
        check_tables(manifest, root, paths, index, film_headers, report)
    read_pixels(root, sources, spread_evenly(len(sources), pixels), report)
    return report
