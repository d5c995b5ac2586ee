"""What the folders in a runs folder are: finished, unfinished, running or damaged runs, and other folders.

Reads   ``settings.json`` and ``<stage>/stage.json`` of every folder; writes nothing, and takes no lock.
Run     ``camray runs``
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.package_marks import is_package
from camray.adapters.run_folders.run_folder import SETTINGS_FILE, RunFolder
from camray.adapters.run_folders.run_removal import is_half_removed, is_run
from camray.adapters.settings.stored_digest import without_digest
from camray.adapters.tracking.store import ARTIFACTS
from camray.domain.errors import SettingsError
from camray.domain.stage_names import STAGE_NAMES
from camray.io.part_states import WORKING, PartsState, parts_states

COMPLETE, UNFINISHED, RUNNING, DAMAGED, COMPARISON, OTHER = (
    "complete",
    "unfinished",
    "running",
    "damaged",
    "comparison",
    "no run",
)
_BLOCK = 512  # bytes, of st_blocks


@dataclass(frozen=True)
class StageState:
    """One stage of a run.

    Parameters
    ----------
    name : str
        Its name.
    state : str
        ``done``, ``outdated`` (an earlier stage has other outputs now), ``interrupted``, ``damaged`` or ``missing``.
    record : dict
        Of a finished stage: counts, figures, seconds, finished_at and others; else empty.
    """

    name: str
    state: str
    record: dict[str, Any]


@dataclass(frozen=True)
class RunState:
    """A folder in a runs folder.

    Parameters
    ----------
    root : Path
        The folder.
    kind : str
        ``complete``, ``unfinished``, ``running``, ``damaged``, ``comparison`` or ``no run``.
    text : str
        The state in words.
    data : str
        Films: generated, or data manifest and folder.
    changed : datetime
        Time of the last finished stage, else of the last change of the settings or the folder.
    size_bytes : int
        On disk; a file with several names counts once.
    stages : tuple of StageState
        Of a run, in order.
    parts : tuple of PartsState
        Of stages that several processes share, or shared and have not merged.
    """

    root: Path
    kind: str
    text: str
    data: str
    changed: datetime
    size_bytes: int
    stages: tuple[StageState, ...]
    parts: tuple[PartsState, ...] = ()

    @property
    def figures(self) -> dict[str, Any]:
        """Figures of the stage ``score``, if they are of the run's present boxes; else empty."""
        return next((each.record["figures"] for each in self.stages if each.name == "score" and _has_scores(each)), {})


def _has_scores(stage: StageState) -> bool:
    return stage.state == "done" and isinstance(stage.record.get("figures"), dict)


def run_states(runs: Path) -> list[RunState]:
    """Return the state of every folder in a runs folder, the newest first; links are not followed.

    Raises
    ------
    SettingsError
        If there is no such folder, or it cannot be read.
    """
    try:
        folders = [Path(entry.path) for entry in os.scandir(runs) if entry.is_dir() and entry.name != ARTIFACTS]
    except OSError as error:
        raise SettingsError(
            f"{runs}: cannot be listed ({error.strerror}); expected the folder of the runs; name it with --runs"
        ) from error
    return sorted(map(run_state, folders), key=lambda state: (-state.changed.timestamp(), state.root.name))


def run_state(root: Path) -> RunState:
    """Return the state of one folder."""
    try:
        return _run_state(root)
    except OSError as error:
        return RunState(root, DAMAGED, f"cannot be read: {error.strerror}", "", _time_of(root), 0, ())


def _run_state(root: Path) -> RunState:
    if root.is_symlink():
        return RunState(root, OTHER, "a link to another place", "", _time_of(root), 0, ())
    size = size_on_disk(root)
    if not is_run(root):
        return RunState(root, OTHER, _what_it_is(root), "", _time_of(root), size, ())
    folder = RunFolder(root)
    settings, fault = _settings(root)
    stages = tuple(_stage(folder, name) for name in _stages_of(root, settings))
    kind, text = _state(folder, stages, fault)
    parts = parts_states(root)
    if at_work := [f"{of.stage} {each.part}" for of in parts for each in of.parts if each.state == WORKING]:
        kind, text = RUNNING, f"running (parts: {', '.join(at_work)})"
    return RunState(root, kind, text, _data(settings), _changed(root, stages), size, stages, parts)


def _what_it_is(root: Path) -> str:
    if not any(root.iterdir()):
        return "empty"
    if is_package(root):
        return "a model package"
    return "damaged settings" if (root / SETTINGS_FILE).is_file() else "other files"


def _settings(root: Path) -> tuple[dict[str, Any], str]:
    """Return the stored settings, and what is wrong with them."""
    path = root / SETTINGS_FILE
    if not path.is_file():
        return {}, "no settings"
    try:
        plain = without_digest(json.loads(path.read_text(encoding="utf-8")), str(path))
    except (ValueError, RecursionError, SettingsError):
        plain = None
    return (plain, "") if isinstance(plain, dict) else ({}, "damaged settings")


def _stages_of(root: Path, settings: dict[str, Any]) -> list[str]:
    """Return the stages that a run has: without its own network for new films, without films to generate."""
    data = settings.get("data")
    left_out = set() if isinstance(data, dict) and data.get("generate") is not None else {"generate"}
    if not (root / "train").is_dir() and (root / "explain").is_dir():
        left_out |= {"generate", "train"}
    return [name for name in STAGE_NAMES if name not in left_out]


def _stage(folder: RunFolder, name: str) -> StageState:
    record = folder.record(name)
    if record is not None:
        return StageState(name, "done" if folder.is_current(name) else "outdated", record)
    state = "damaged" if folder.has_record(name) else "interrupted" if folder.is_begun(name) else "missing"
    return StageState(name, state, {})


def _state(folder: RunFolder, stages: tuple[StageState, ...], fault: str) -> tuple[str, str]:
    """Return the kind of a run and the words for it."""
    if folder.is_locked():
        at_work = next((stage.name for stage in stages if stage.state != "done"), "")
        return RUNNING, f"running{f' ({at_work})' if at_work else ''}"
    if is_half_removed(folder.root):
        return UNFINISHED, "half removed"
    if any((child / SETTINGS_FILE).is_file() for child in folder.root.iterdir()):
        return COMPARISON, "has runs of its own"
    damaged = next((stage.name for stage in stages if stage.state == "damaged"), None)
    if damaged or fault == "damaged settings":
        return DAMAGED, fault or f"damaged record of {damaged}"
    unfinished = next((stage for stage in stages if stage.state != "done"), None)
    if unfinished is None:
        return COMPLETE, "complete"
    words = {"missing": "next", "outdated": "outdated", "interrupted": "interrupted in"}
    return UNFINISHED, f"{words[unfinished.state]} {unfinished.name}" + (f"; {fault}" if fault else "")


def _data(settings: dict[str, Any]) -> str:
    data = settings.get("data")
    if not isinstance(data, dict):
        return ""
    if data.get("generate") is not None:
        return "generated"
    return f"{data.get('manifest') or '?'}: {data.get('root') or '?'}"


def _changed(root: Path, stages: tuple[StageState, ...]) -> datetime:
    """Return when the last stage finished; without one, or without legible times, when the settings changed."""
    times = []
    for stage in stages:
        try:
            times.append(datetime.fromisoformat(str(stage.record.get("finished_at"))).astimezone())
        except (ValueError, OverflowError):
            continue
    return max(times) if times else _time_of(root)


def _time_of(root: Path) -> datetime:
    for path in (root / SETTINGS_FILE, root):
        try:
            return datetime.fromtimestamp(path.lstat().st_mtime).astimezone()
        except OSError:
            continue
    return datetime.fromtimestamp(0).astimezone()


def size_on_disk(root: Path) -> int:
    """Return the bytes that a folder takes, without what links lead to; a file with several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(root):
        for name in (".", *names):
            try:
                status = os.lstat(Path(folder) / name)
            except OSError:  # removed meanwhile
                continue
            seen[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK
    return sum(seen.values())
