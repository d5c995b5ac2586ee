"""Folders of the operating system, whose entries are no files of a data set although they look so."""

from pathlib import Path

_SYSTEM = (Path("/proc"), Path("/sys"), Path("/dev"))
_MEMORY = Path("/dev/shm")


def is_of_system(resolved: Path) -> bool:
    """Return whether a path without links is in ``/proc``, ``/sys`` or ``/dev``.

    Examples
    --------
    >>> is_of_system(Path("/proc/self")), is_of_system(Path("/dev/shm/films")), is_of_system(Path("/process"))
    (True, False, False)
    """
    return any(resolved.is_relative_to(folder) for folder in _SYSTEM) and not resolved.is_relative_to(_MEMORY)
