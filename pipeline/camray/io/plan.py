"""A run's plan: ``plan.json`` with what it was made from, and ``plan.yaml``, its settings with a reason each."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.stage_record import is_undamaged, with_own_digest
from camray.core.planning.facts import Plan, Reason
from camray.domain.errors import PipelineError
from camray.io.json_files import read_json


@dataclass(frozen=True)
class PlannedFrom:
    """A plan, and a digest of the films, tables, given settings and minutes that it was made from."""

    digest: str
    plan: Plan


def read_plan(path: Path) -> PlannedFrom:
    """Read ``plan.json``.

    Raises
    ------
    PipelineError
        If it is missing, damaged, or lacks a key; the message says that the plan can be made again.
    """
    try:
        plain = read_json(path)
        if not is_undamaged(plain):
            raise PipelineError(f"{path}: damaged")
        plan = plain["plan"]
        reasons = tuple(Reason(tuple(each["settings"]), str(each["text"])) for each in plan["reasons"])
        return PlannedFrom(
            str(plain["digest"]), Plan(**{**plan, "reasons": reasons, "warnings": tuple(plan["warnings"])})
        )
    except (PipelineError, KeyError, TypeError, AttributeError) as error:
        raise PipelineError(
            f"{path}: damaged, or made by another version of camray; expected a plan; delete it, and the command that "
            "made it (`camray run --data FOLDER`) plans anew"
        ) from error


def write_plan(path: Path, planned: PlannedFrom) -> None:
    """Write ``plan.json``."""
    write_json(path, with_own_digest(asdict(planned)))


def write_planned_settings(path: Path, given: Mapping[str, Any], plan: Plan) -> None:
    """Write ``plan.yaml``, an experiment that `camray run` takes.

    Parameters
    ----------
    path : Path
        File to write.
    given : mapping
        The user's settings.
    plan : Plan
        The others.
    """
    lines = [
        f"# A plan for these films: about {plan.minutes:.1f} minutes. `camray run {path}` runs it, also after changes.",
        *(f"# Note: {text}" for text in plan.warnings),
        *(_line(key, value) for key, value in given.items() if not isinstance(value, Mapping)),
    ]
    sections = {key: value for key, value in given.items() if isinstance(value, Mapping)}
    for section in [*sections, *(name for name in plan.values if name not in sections)]:
        lines.append(f"{section}:")
        lines += [f"  {_line(key, value)}" for key, value in sections.get(section, {}).items()]
        lines += _planned(section, plan)
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def _planned(section: str, plan: Plan) -> Iterator[str]:
    """Yield the planned lines of a section, each group after its reason."""
    for reason in plan.reasons:
        keys = [name.partition(".")[2] for name in reason.settings if name.startswith(f"{section}.")]
        if keys:
            yield f"  # {reason.text}"
        for key in keys:
            yield f"  {_line(key, plan.values[section][key])}"


def _line(key: str, value: Any) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    return f"{key}: {yaml.safe_dump([plain], default_flow_style=True, sort_keys=False, width=10_000).strip()[1:-1]}"
