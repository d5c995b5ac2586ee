"""Check that a folder is a run, with suggestions if it is not."""

from pathlib import Path

from camray.adapters.run_folders.run_folder import SETTINGS_FILE
from camray.adapters.settings.faults import suggested_experiments
from camray.domain.errors import SettingsError
from camray.domain.suggestions import nearest_names

MAX_RUNS_LISTED = 8


def check_is_run(root: Path, *, or_experiment: bool = False) -> None:
    """Check that a folder is a run folder.

    Parameters
    ----------
    root : Path
        The folder.
    or_experiment : bool
        Whether an experiment's file was expected too.

    Raises
    ------
    SettingsError
        If it has no settings of a run; the message names the runs beside it, and experiments of a similar name.
    """
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
