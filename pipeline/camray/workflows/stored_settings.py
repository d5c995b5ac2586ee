"""Settings that a run was made with, on this machine."""

from pathlib import Path

import torch

from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.io.artifacts import RunArtifacts
from camray.io.json_files import read_json
from camray.io.run_lookup import check_is_run


def settings_of(run_root: Path) -> Settings:
    """Read the settings a run was made with.

    Raises
    ------
    SettingsError
        If the folder holds no run.
    """
    check_is_run(run_root)
    path = RunArtifacts(run_root).settings
    return on_this_machine(parse_settings(read_json(path), str(path)))


def on_this_machine(stored: Settings) -> Settings:
    """Return a run's stored settings with ``device`` auto where they name a GPU and this machine has none.

    A run that was trained on a GPU is thereby applied on a CPU; ``device=cuda`` given anew is still refused there.
    """
    if stored.device == "cuda" and not torch.cuda.is_available():
        return stored.model_copy(update={"device": "auto"})
    return stored
