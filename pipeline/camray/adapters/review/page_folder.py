"""The folder of a review page: files written whole, and those of the build before taken away.

``files.json`` lists the files that were written, so that the next build removes them and nothing else.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from camray.domain.errors import ExportError

FILES, INDEX = "files.json", "index.html"


def write_page(folder: Path, files: Iterable[tuple[str, bytes]]) -> int:
    """Write the files one by one. Until ``index.html`` is written there is no page to open.

    Parameters
    ----------
    folder : Path
        Where. The files of an earlier build are replaced or removed; other files stay.
    files : iterable of (str, bytes)
        Path relative to `folder` and content; ``index.html`` last.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    ExportError
        If a file cannot be written.
    """
    earlier = _earlier_files(folder)
    (folder / INDEX).unlink(missing_ok=True)
    sizes: dict[str, int] = {}
    for name, content in files:
        _write(folder / name, content)
        sizes[name] = len(content)
    _remove(folder, earlier - set(sizes))
    _write(folder / FILES, (json.dumps(sorted(sizes), indent=1) + "\n").encode())
    return sum(sizes.values())


def _earlier_files(folder: Path) -> set[str]:
    try:
        names = json.loads((folder / FILES).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    return {str(name) for name in names} if isinstance(names, list) else set()


def _remove(folder: Path, names: set[str]) -> None:
    """Remove files below the folder; a name that leads out of it is left alone."""
    root = folder.resolve()
    for name in sorted(names):
        path = (folder / name).resolve()
        if root in path.parents:
            path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise ExportError(
            f"{path}: cannot be written ({error.strerror}); free space or choose another folder"
        ) from error
