"""Settings of a run that a finished run teaches: the same experiment on a finer grid, for fewer epochs.

Run     ``camray refine runs/phantom``
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.domain.errors import PipelineError, SettingsError
from camray.io.artifacts import artifacts_of
from camray.io.run_lookup import check_is_run
from camray.workflows.stored_settings import on_this_machine, overridden, read_settings

_NEEDED = ("ingest", "train", "explain", "localize")


@dataclass(frozen=True)
class Refinement:
    """What a second network changes.

    Parameters
    ----------
    name : str or None
        Of the new run; None adds ``-refined`` to the first one's.
    finer : float
        Factor on the sides of the model grid.
    share : float
        Of the first run's epochs and least steps.
    """

    name: str | None = None
    finer: float = 1.5
    share: float = 0.33


def refined_settings(run_root: Path, plan: Refinement, overrides: list[str] | None) -> Settings:
    """Return the settings of the new run; given settings win.

    Raises
    ------
    SettingsError
        If the folder is no run, an override is not legal, or a run of the new name is something else.
    PipelineError
        If the run has not finished.
    """
    check_is_run(run_root)
    folder = RunFolder(run_root)
    if missing := [stage for stage in _NEEDED if folder.record(stage) is None]:
        raise PipelineError(
            f"{run_root}: has not finished: no {', '.join(missing)}; a run teaches once it has boxes of its own; "
            f"finish it with `camray run {run_root}`, and repeat this command"
        )
    first = on_this_machine(overridden(run_root, overrides))
    given = {each.partition("=")[0].strip() for each in overrides or ()}
    plain = first.model_dump(mode="json")
    for key, value in _changes(run_root, first, plan).items():
        section, _, name = key.rpartition(".")
        if key not in given:
            _section(plain, section)[name] = value
    settings = parse_settings(plain, f"{run_root}, refined")
    _check_name(run_root, settings)
    return settings


def _changes(run_root: Path, first: Settings, plan: Refinement) -> dict[str, Any]:
    step = first.model.stride * first.model.shrink
    rows, cols = (max(1, round(side * plan.finer / step)) * step for side in (first.ingest.rows, first.ingest.cols))
    return {
        "name": plan.name or f"{run_root.resolve().name}-refined",
        "refine.teacher": str(run_root),
        "ingest.rows": rows,
        "ingest.cols": cols,
        "ingest.keep_unlabelled": False,  # films of the pretext, which the first run had
        "model.weights": None,
        "train.max_epochs": math.ceil(first.train.max_epochs * plan.share),
        "train.min_steps": math.ceil(first.train.min_steps * plan.share),
        "train.pretext.epochs": 0,
    }


def _section(plain: dict[str, Any], dotted: str) -> dict[str, Any]:
    for part in dotted.split(".") if dotted else ():
        plain = plain[part]
    return plain


def _check_name(run_root: Path, settings: Settings) -> None:
    root = run_root.parent / settings.name
    is_run = artifacts_of(RunFolder(root)).settings.is_file()  # a first attempt that was refused has left none
    teacher = read_settings(root).refine.teacher if is_run else run_root
    if root.resolve() == run_root.resolve() or teacher is None or teacher.resolve() != run_root.resolve():
        raise SettingsError(
            f"{root}: exists, and is not a refinement of {run_root}; expected a new name, or that of an unfinished "
            "refinement; name another one with --name"
        )
