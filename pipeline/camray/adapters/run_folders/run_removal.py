"""Removal of a run folder, and of nothing else: what is no run, is running or reaches outside is refused.

Settings, by which a folder is recognized as a run, are deleted last: what a killed removal leaves can be removed again.
"""

import json
import os
from pathlib import Path

from camray.adapters.run_folders.package_marks import is_package
from camray.adapters.run_folders.run_folder import SETTINGS_FILE, RunFolder
from camray.adapters.run_folders.run_lock import LOCK_FILE
from camray.adapters.run_folders.stage_replacement import BEGIN_FILE, STAGE_FILE, delete
from camray.domain.errors import IncompleteError, SettingsError
from camray.domain.stage_names import STAGE_NAMES

_HALF_REMOVED = ".removing"  # in a folder without settings, or whose settings are deleted already
_KEYS_OF_SETTINGS = {"name", "data", "train"}  # other programs have a settings.json too


def is_run(root: Path) -> bool:
    """Return whether a folder is a run, a begun one without settings, or what a removal has left of one."""
    if is_package(root):
        return False
    if is_half_removed(root) or _has_settings(root):
        return True
    return any((root / stage / name).is_file() for stage in STAGE_NAMES for name in (STAGE_FILE, BEGIN_FILE))


def is_half_removed(root: Path) -> bool:
    """Return whether a removal of this folder began, and did not end."""
    return (root / _HALF_REMOVED).is_file()


def _has_settings(root: Path) -> bool:
    try:
        plain = json.loads((root / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(plain, dict) and plain.keys() >= _KEYS_OF_SETTINGS


def check_removable(root: Path) -> None:
    """Check that a folder is a run that no process holds and that removing it deletes nothing outside it.

    Raises
    ------
    SettingsError
        If it is not a run, is a link or has one that leads out, has another file system in it, or the films that it
        was made from.
    IncompleteError
        If a process works on it, or on a run in it.
    """
    if root.is_symlink() or not root.is_dir() or not (is_run(root) or not any(root.iterdir())):
        what = "a link" if root.is_symlink() else "not a run folder"
        raise SettingsError(
            f"{root}: {what}; expected the folder of a run (`camray runs` lists them); nothing is deleted"
        )
    real, device = root.resolve(), root.stat().st_dev
    if Path.cwd().is_relative_to(real):
        raise SettingsError(f"{root}: the working folder is in it; change to another folder first; nothing is deleted")
    films = _films_of(root)
    if films is not None and films.resolve().is_relative_to(real):
        raise SettingsError(
            f"{root}: has the films that it was made from ({films}); move them first; nothing is deleted"
        )
    for folder, folders, names in os.walk(root):
        for path in (Path(folder) / name for name in (*folders, *names)):
            if path.is_symlink() and not path.resolve().is_relative_to(real):
                raise SettingsError(f"{path}: a link that leads out of the run; remove it first; nothing is deleted")
            if path.lstat().st_dev != device:
                raise SettingsError(f"{path}: is on another file system; unmount it first; nothing is deleted")
        if LOCK_FILE in names and RunFolder(Path(folder)).is_locked():
            raise IncompleteError(f"{folder}: another process works on this run; end it first; nothing is deleted")


def remove_run(root: Path) -> None:
    """Delete a run folder, its settings last; see `check_removable` for what is refused."""
    check_removable(root)
    with RunFolder(root).locked():
        if not (root / SETTINGS_FILE).is_file():
            (root / _HALF_REMOVED).touch()
        for path in sorted(root.iterdir()):
            if path.name in {SETTINGS_FILE, LOCK_FILE, _HALF_REMOVED}:
                continue
            if path.is_dir() and not path.is_symlink():
                delete(path)
            else:
                path.unlink()
        (root / _HALF_REMOVED).touch()
        for name in (SETTINGS_FILE, LOCK_FILE, _HALF_REMOVED):
            (root / name).unlink(missing_ok=True)
        root.rmdir()


def _films_of(root: Path) -> Path | None:
    try:
        films = json.loads((root / SETTINGS_FILE).read_text(encoding="utf-8"))["data"]["root"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
    return Path(films) if isinstance(films, str) else None
