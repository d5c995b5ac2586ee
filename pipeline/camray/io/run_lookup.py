"""Check that a folder is a run, with suggestions if it is not."""

import difflib
from pathlib import Path

from camray.adapters.run_folders.run_folder import SETTINGS_FILE
from camray.domain.errors import SettingsError

MAX_RUNS_LISTED = 8


def check_is_run(root: Path) -> None:
    """Check that a folder is a run folder.

    Raises
    ------
    SettingsError
        If it has no settings of a run; the message names the runs beside it.
    """
    if (root / SETTINGS_FILE).is_file():
        return
    parents = (root.parent, root.parent / "runs")
    runs = {path.parent.name: path.parent for parent in parents for path in sorted(parent.glob(f"*/{SETTINGS_FILE}"))}
    if not runs:
        raise SettingsError(f"{root}: not a run folder; make a run with `camray run CONFIG` or `camray demo`")
    near = difflib.get_close_matches(root.name, runs, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(str(runs[name]) for name in near)}? " if near else ""
    more = f" and {len(runs) - MAX_RUNS_LISTED} more" if len(runs) > MAX_RUNS_LISTED else ""
    raise SettingsError(
        f"{root}: not a run folder; {hint}existing runs: {', '.join(list(runs)[:MAX_RUNS_LISTED])}{more}"
    )
