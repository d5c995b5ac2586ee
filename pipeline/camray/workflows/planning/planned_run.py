"""Settings planned from films, labels, machine and minutes, for an experiment that does not name them.

Reads   films' headers and tables; a plan that the run folder has
Writes  ``runs/<name>/plan.json`` and ``plan.yaml``
Run     ``camray run --data films --minutes 30``
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.digests import digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.boxes import LocalizeSettings
from camray.adapters.settings.default_recipe import DEFAULT_RECIPE, completed, with_default_recipe
from camray.adapters.settings.loading import config_path, load_plain, parse_settings, refuse_secrets
from camray.adapters.settings.schema import Settings
from camray.core.planning.facts import Plan, PlanRequest
from camray.core.planning.plan import plan_experiment
from camray.domain.errors import InputRefusedError, SettingsError
from camray.io.artifacts import artifacts_of
from camray.io.plan import PlannedFrom, write_planned_settings
from camray.io.run_lookup import with_free_name_in
from camray.workflows.planning.film_survey import survey_films, this_machine
from camray.workflows.stage_inputs import data_digest, stages_for
from camray.workflows.stage_reasons import check_network_kept
from camray.workflows.stored_settings import read_settings

_PLANNED = ("data", "ingest", "model", "train", "explain", "localize")  # sections that a plan completes


@dataclass(frozen=True)
class PlannedRun:
    """A run with planned settings.

    Parameters
    ----------
    settings : Settings
        Given and planned ones.
    folder : RunFolder
        Folder of the run.
    plan : Plan
        With the reasons.
    is_new : bool
        False if the run folder had the plan for the same films, tables, settings and minutes.
    given : mapping
        The user's settings.
    stored : PlannedFrom
        What ``plan.json`` has, or will have.
    """

    settings: Settings
    folder: RunFolder
    plan: Plan
    is_new: bool
    given: Mapping[str, Any]
    stored: PlannedFrom


def plan_run(
    config: Path | None, films: Path | None, overrides: list[str] | None, minutes: float | None, runs: Path
) -> PlannedRun:
    """Plan what an experiment does not name; `write_planned` writes the plan into its run folder.

    Parameters
    ----------
    config : Path or None
        Experiment; None is that of any folder of films, with the folder's name.
    films : Path or None
        In place of the experiment's ``data.root``.
    overrides : list of str
        Settings, which the plan never changes.
    minutes : float or None
        Duration of the whole run at most; see `camray.core.planning.plan.default_minutes`.
    runs : Path
        Folder of the runs.

    Raises
    ------
    InputRefusedError
        If nothing can be trained, or there is no usable film.
    SettingsError
        If a setting is not legal, the films do not exist or are generated, or the run folder is that of other films.
    ManifestError, AnnotationError
        If the tables are of no use.
    """
    own = [] if films is None else [f"data.root={json.dumps(str(films))}"]
    if config is None and films is not None:
        own.append(f"name={json.dumps(_run_name(films))}")
    path = config or config_path("folder")
    plain = with_free_name_in(load_plain(path, [*own, *(overrides or [])]), runs)
    given = parse_settings(with_default_recipe(plain), str(path))
    refuse_secrets(given, str(path))
    folder = RunFolder(runs / given.name)
    _check(given, folder)
    request = PlanRequest(_given_values(plain, given), minutes, given.ingest.fractions)
    digest = digest_of([data_digest(given), request.given, minutes, given.ingest.fractions])
    planned, is_new = _planned(given, folder, request, digest)
    settings = parse_settings(completed(plain, planned.plan.values), str(path))
    return PlannedRun(settings, folder, planned.plan, is_new, plain, planned)


def write_planned(planned: PlannedRun, *, overwrite: bool = False) -> None:
    """Write a new plan into its run folder, unless it would replace a trained network and `overwrite` is false.

    Raises
    ------
    SettingsError
        If it would; the former plan is kept.
    """
    folder, files = planned.folder, artifacts_of(planned.folder)
    if not planned.is_new or int(os.environ.get("RANK", "0")) > 0:
        return
    with folder.locked():
        if not overwrite:
            check_network_kept(stages_for(planned.settings, folder, "train"), planned.settings, folder)
        files.plan.write(planned.stored)
        write_planned_settings(files.planned_settings, planned.given, planned.plan)


def _run_name(films: Path) -> str:
    """Return the folder's name with the characters that a run's name may have."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", films.resolve().name).strip("-._") or "films"


def _check(given: Settings, folder: RunFolder) -> None:
    """Check that the films exist, and that the run folder is not that of others."""
    root = given.data.root
    if given.data.generate is not None or root is None:
        raise SettingsError(
            f"{given.name}: a plan needs films that exist, and the experiment generates them or names none; run it "
            "without --minutes, or name a folder of films with --data"
        )
    if root.is_dir() and folder.root.resolve().is_relative_to(root.resolve()):
        raise SettingsError(
            f"{folder.root}: the run folder would be among the films in {root}; name another folder with --runs, or "
            "run the command elsewhere"
        )
    if artifacts_of(folder).settings.is_file():
        before = read_settings(folder.root).data.root
        if before is None or before.resolve() != root.resolve():
            raise SettingsError(
                f"{folder.root}: a run on other films; give this one a name of its own: name=NAME on the command line"
            )


def _given_values(plain: Mapping[str, Any], given: Settings) -> dict[str, dict[str, Any]]:
    """Return the given settings of the sections that a plan completes, validated."""
    dumped = given.model_dump(mode="json")
    return {section: {key: dumped[section][key] for key in plain.get(section) or {}} for section in _PLANNED}


def _planned(given: Settings, folder: RunFolder, request: PlanRequest, digest: str) -> tuple[PlannedFrom, bool]:
    """Return the stored plan if it was made from the same films and settings, else a new one."""
    stored = artifacts_of(folder).plan
    if stored.is_file():
        before = stored.read()
        if before.digest == digest:
            return before, False
    base = {**DEFAULT_RECIPE, "localize": {"policies": LocalizeSettings().policies}}
    plan = plan_experiment(survey_films(given), this_machine(given.device), request, base)
    if plan.refusal:
        raise InputRefusedError(f"{given.data.root}: {plan.refusal}")
    return PlannedFrom(digest, plan), True
