"""Replacement of a finished stage: its outputs are kept until the new ones are complete.

While a finished stage runs again, its old folder is ``.replaced/<stage>``. If the new run fails, the old folder is
moved back, and the unfinished one becomes ``.unfinished/<stage>``, which the next start with the same claim resumes.
Each move is one rename, so a killed process leaves a state that `restore` recognises.
"""

import shutil
from pathlib import Path

STAGE_FILE, BEGIN_FILE = "stage.json", "begin.json"
_REPLACED, _UNFINISHED = ".replaced", ".unfinished"


def set_aside(root: Path, stage: str) -> None:
    """Set a finished stage aside, and bring back the unfinished attempt to replace it, if there is one."""
    _move(root / stage, root / _REPLACED / stage)
    if (root / _UNFINISHED / stage).is_dir():
        _move(root / _UNFINISHED / stage, root / stage)


def unfinished_of(root: Path, stage: str) -> tuple[Path, Path]:
    """Return the folders that may hold a stage's unfinished work."""
    return root / stage, root / _UNFINISHED / stage


def restore(root: Path, stage: str) -> None:
    """Bring back what `set_aside` moved, unless the stage has finished since; without effect if nothing was moved."""
    replaced = root / _REPLACED / stage
    if not replaced.is_dir():
        return
    if (root / stage / STAGE_FILE).is_file():
        delete(replaced)
        return
    if (root / stage).is_dir():
        _move(root / stage, root / _UNFINISHED / stage)
    _move(replaced, root / stage)


def restore_all(root: Path) -> None:
    """Call `restore` for every stage that a killed process was replacing."""
    if (root / _REPLACED).is_dir():
        for folder in sorted((root / _REPLACED).iterdir()):
            restore(root, folder.name)


def forget(root: Path, stage: str) -> None:
    """Delete what a stage replaced, once its new outputs are complete."""
    for kept in (_REPLACED, _UNFINISHED):
        delete(root / kept / stage)
        if (root / kept).is_dir() and not any((root / kept).iterdir()):
            (root / kept).rmdir()


def delete(folder: Path) -> None:
    """Delete a stage's folder, its records first: half-deleted work must not be resumed."""
    for name in (STAGE_FILE, BEGIN_FILE):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir():
        shutil.rmtree(folder)


def _move(source: Path, target: Path) -> None:
    delete(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
