"""Check that a folder is a run, with suggestions if it is not."""

from itertools import count
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.package_marks import is_package
from camray.adapters.run_folders.run_folder import SETTINGS_FILE
from camray.adapters.settings.faults import suggested_experiments
from camray.adapters.settings.schema import Settings
from camray.domain.errors import SettingsError
from camray.domain.suggestions import nearest_names

MAX_RUNS_LISTED = 8
AUTO, FREE_NAME = "auto", "exp"


def check_is_run(root: Path, *, or_experiment: bool = False, or_package: bool = False) -> None:
    """Check that a folder is a run folder.

    Parameters
    ----------
    root : Path
        The folder.
    or_experiment : bool
        Whether an experiment's file was expected too.
    or_package : bool
        Whether a model package was expected too.

    Raises
    ------
    SettingsError
        If it has no settings of a run, or is a package where none was expected; the message names the runs beside it,
        and experiments of a similar name.
    """
    if is_package(root):
        if or_package:
            return
        raise SettingsError(
            f"{root}: a model package, which is never changed and has no films or scores; expected a run folder; "
            "packages are for `camray predict` and `camray verify`"
        )
    if (root / SETTINGS_FILE).is_file():
        return
    parents = (root.parent, root.parent / "runs")
    runs = {path.parent.name: path.parent for parent in parents for path in sorted(parent.glob(f"*/{SETTINGS_FILE}"))}
    experiments = suggested_experiments(root) if or_experiment and not root.exists() else ""
    if not runs:
        raise SettingsError(
            f"{root}: not a run folder; {experiments}make a run with `camray run CONFIG` or `camray demo`"
        )
    near = nearest_names(root.name, runs)
    hint = f"did you mean {' or '.join(str(runs[name]) for name in near)}? " if near else experiments
    more = f" and {len(runs) - MAX_RUNS_LISTED} more" if len(runs) > MAX_RUNS_LISTED else ""
    raise SettingsError(
        f"{root}: not a run folder; {hint}existing runs: {', '.join(list(runs)[:MAX_RUNS_LISTED])}{more}"
    )


def with_free_name(settings: Settings, runs: Path) -> Settings:
    """Return the settings with a name that no run in the folder has, if theirs is `AUTO`: exp, exp2, exp3, ..."""
    return settings.model_copy(update={"name": free_name(runs)}) if settings.name == AUTO else settings


def with_free_name_in(plain: dict[str, Any], runs: Path) -> dict[str, Any]:
    """As `with_free_name`, for settings that are not validated yet."""
    return {**plain, "name": free_name(runs)} if plain.get("name") == AUTO else plain


def free_name(runs: Path) -> str:
    """Return the first of exp, exp2, exp3, ... that no folder has; those of several seeds (exp-seed1) count too."""
    names = (f"{FREE_NAME}{number if number > 1 else ''}" for number in count(1))
    return next(name for name in names if not (runs / name).exists() and not any(runs.glob(f"{name}-*")))


def check_keeps_name(settings: Settings, root: Path) -> None:
    """Refuse `AUTO` for a run that exists, whose folder no setting moves.

    Raises
    ------
    SettingsError
        The message names the file that a new run can be made from.
    """
    if settings.name == AUTO:
        raise SettingsError(
            f"name={AUTO}: {root} is a run and stays in its folder; expected an experiment's file; for a new run with "
            f"these settings give {root / SETTINGS_FILE} in its place"
        )
