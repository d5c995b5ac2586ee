"""How far the parts of a run's stages are.

Reads   ``parts/`` of a run: which shards each part has recorded, and which locks are held; writes nothing.
Run     ``camray runs show runs/phantom``
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.part_folders import StageParts, parts_of_run
from camray.domain.parts import Part

WORKING, COMPLETE, BEGUN, NOT_BEGUN = "working", "complete", "begun", "not begun"
_MOST_TOLD = 12  # parts in a line


@dataclass(frozen=True)
class PartState:
    """One part.

    Parameters
    ----------
    part : str
        ``2/5``.
    state : str
        ``working`` (a process that shares locks with this machine does it), ``complete``, ``begun`` (interrupted, or at
        work on a machine that shares no locks) or ``not begun``.
    done, units : int
        Shards that are recorded, and all shards of this part; 0 where they are not known.
    """

    part: str
    state: str
    done: int
    units: int


@dataclass(frozen=True)
class PartsState:
    """All parts of one stage with the same settings and inputs.

    Parameters
    ----------
    stage, key : str
        Whose, and what their folder is named by.
    done, units : int
        Different shards that are recorded, and all shards of the stage; 0 where no part says so.
    parts : tuple of PartState
        In order, with those that have not begun.
    """

    stage: str
    key: str
    done: int
    units: int
    parts: tuple[PartState, ...]

    def text(self) -> str:
        """Return the state in words."""
        told = [
            each.state if each.state == NOT_BEGUN else f"{each.done} of {each.units} {each.state}"
            for each in self.parts
        ]
        listed = [f"{each.part} {words}" for each, words in zip(self.parts, told, strict=True)]
        more = f", and {len(listed) - _MOST_TOLD} more" if len(listed) > _MOST_TOLD else ""
        return f"{self.done} of {self.units} shards: {', '.join(listed[:_MOST_TOLD])}{more}"

    def as_json(self) -> dict[str, Any]:
        """Return the state for programs."""
        parts = [
            {"part": each.part, "state": each.state, "done": each.done, "shards": each.units} for each in self.parts
        ]
        return {"stage": self.stage, "key": self.key, "done": self.done, "shards": self.units, "parts": parts}


def parts_states(root: Path) -> tuple[PartsState, ...]:
    """Return the state of the parts of a run, by stage and key."""
    return tuple(_state(parts) for parts in parts_of_run(root))


def _state(parts: StageParts) -> PartsState:
    found: dict[Part, PartState] = {}
    recorded: set[int] = set()
    total = 0
    for each in parts.parts():
        done = each.units()
        units = int((each.stored_claim() or {}).get("units", 0))
        own = sum(each.part.owns(unit) for unit in range(units))
        state = WORKING if each.is_working() else COMPLETE if units > 0 and len(done) >= own else BEGUN
        found[each.part] = PartState(str(each.part), state, len(done), own)
        recorded, total = recorded | set(done), max(total, units)
    for of in {part.of for part in found}:
        for part in (Part(of, number) for number in range(1, of + 1)):
            found.setdefault(part, PartState(str(part), NOT_BEGUN, 0, sum(map(part.owns, range(total)))))
    return PartsState(parts.stage, parts.key, len(recorded), total, tuple(found[part] for part in sorted(found)))
