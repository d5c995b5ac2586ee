"""Merge of parts: finished units are compared with their digests and moved to where the stage resumes from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.part_folders import PartFolder, StageParts, is_as_recorded

_MOST_NAMED = 6


@dataclass(frozen=True)
class Merged:
    """What a merge found.

    Parameters
    ----------
    parts : tuple of str
        Parts that have a folder, ``2/5``.
    taken : frozenset of int
        Units that are where the stage resumes from them.
    damaged : tuple of str
        Units, or whole parts, that are not as they were recorded, in words.
    units : int
        Number of units of the stage, as the parts know it; 0 where none says so.
    """

    parts: tuple[str, ...]
    taken: frozenset[int]
    damaged: tuple[str, ...]
    units: int

    @property
    def missing(self) -> list[int]:
        """Units that the stage has to do itself."""
        return [unit for unit in range(self.units) if unit not in self.taken]

    def sentences(self) -> list[str]:
        """Say in words what was taken, what is damaged, and what is missing."""
        told = [f"{len(self.taken)} of {self.units} shards taken from parts {_some(self.parts)}"]
        if self.damaged:
            told.append(f"damaged, not taken: {_some(self.damaged)}")
        if self.missing:
            which = _some([str(unit) for unit in self.missing])
            told.append(f"{len(self.missing)} of {self.units} shards are missing and are done now, here: {which}")
        return told


def take_units(parts: StageParts, claim: Mapping[str, Any], target: Path) -> Merged:
    """Move the whole units of all parts into a folder; without effect on units that were moved before.

    Parameters
    ----------
    parts : StageParts
        Whose.
    claim : mapping
        As of `PartFolder`; of the process that merges.
    target : Path
        Folder of the stage's unfinished units.

    Returns
    -------
    Merged
        Where a unit is in several parts, the first whole one is taken.

    Raises
    ------
    PipelineError
        If parts do not agree with the claim, see `StageParts.check_agreement`.
    """
    parts.check_agreement(claim)
    taken: set[int] = set()
    damaged: list[str] = []
    units = 0
    for part in parts.parts():
        stored = part.stored_claim()
        if stored is None:
            damaged.append(f"part {part.part} (it does not say what it is made of)")
            continue
        units = max(units, int(stored["units"]))
        for unit in part.units():
            if unit in taken:
                continue
            if fault := _fault_or_moved(part, unit, target):
                damaged.append(f"shard {unit} of part {part.part} ({fault})")
            else:
                taken.add(unit)
    return Merged(tuple(str(part.part) for part in parts.parts()), frozenset(taken), tuple(damaged), units)


def _fault_or_moved(part: PartFolder, unit: int, target: Path) -> str:
    """Move a unit's files, the one that proves it last; return instead what is not as recorded."""
    files = part.files_of(unit)
    if files is None:
        return "its record is damaged"
    sources = {name: part.folder / name for name, _, _ in files if (part.folder / name).is_file()}
    for name, size, digest in files:
        if not is_as_recorded(sources.get(name, target / name), size, digest):
            return name
    target.mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        source.replace(target / name)
    return ""


def _some(texts: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return ", ".join(texts[:_MOST_NAMED]) + more
