"""The film files of a data set."""

from collections.abc import Sequence
from pathlib import Path


def list_films(root: Path, include: Sequence[str], exclude: Sequence[str], not_films: set[Path]) -> list[str]:
    """List the files to read as films.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    include, exclude : sequence of str
        Globs relative to the root.
    not_films : set of Path
        Tables and lists, resolved.

    Returns
    -------
    list of str
        Sorted paths relative to the root, with ``/``; no hidden files, no DICOMDIR.
    """
    excluded = {path for pattern in exclude for path in root.glob(pattern)}
    included = {path for pattern in include for path in root.glob(pattern)}
    sources = []
    for path in included - excluded:
        inside = path.relative_to(root)
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or path.name.upper() == "DICOMDIR" or not path.is_file() or path.resolve() in not_films:
            continue
        sources.append(inside.as_posix())
    return sorted(sources)
