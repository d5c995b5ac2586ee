"""Settings that a run was made with, on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from camray.adapters.run_folders.package_marks import is_package
from camray.adapters.run_folders.run_folder import how_to_write
from camray.adapters.settings.loading import load_stored, parse_settings, refuse_secrets, with_secrets_hidden
from camray.adapters.settings.schema import Settings
from camray.adapters.settings.stored_digest import without_digest
from camray.domain.errors import SettingsError
from camray.io.artifacts import RunArtifacts
from camray.io.json_files import read_json
from camray.io.model_package import check_package
from camray.io.run_lookup import check_is_run


def settings_of(run_root: Path, *, or_package: bool = False) -> Settings:
    """Read the settings a run was made with, or those of a model package where one may be given.

    Raises
    ------
    SettingsError
        If the folder holds no run.
    CheckpointError
        If it is a package with a file that is missing, changed or not its own.
    """
    check_is_run(run_root, or_package=or_package)
    if is_package(run_root):
        check_package(run_root)
    return on_this_machine(read_settings(run_root))


def read_settings(run_root: Path) -> Settings:
    """Read the settings of a run, or of the files of one; a password that an earlier version stored is hidden.

    Raises
    ------
    PipelineError
        If the file is missing or damaged; the message names the command that writes it again.
    """
    path = RunArtifacts(run_root).settings
    plain = read_json(path)
    with _mending_named(path):
        return with_secrets_hidden(parse_settings(without_digest(plain, str(path)), str(path)))


def overridden(run_root: Path, overrides: list[str] | None) -> Settings:
    """Read the settings of a run, with overrides; a fault of the file names the command that writes it again.

    Raises
    ------
    SettingsError
        If the file or an override is not legal, or an override contains a password.
    """
    path = RunArtifacts(run_root).settings
    try:
        settings = load_stored(path, overrides)
    except SettingsError:
        with _mending_named(path):
            load_stored(path)  # the fault is the file's, or else an override's
        raise
    refuse_secrets(settings, str(path), [each.partition("=")[0].strip() for each in overrides or ()])
    return with_secrets_hidden(settings)


@contextmanager
def _mending_named(path: Path) -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"{error}\n{path} is damaged, or of another version; {how_to_write(path)}") from error


def on_this_machine(stored: Settings) -> Settings:
    """Return a run's stored settings with ``device`` auto where they name a GPU and this machine has none.

    A run that was trained on a GPU is thereby applied on a CPU; ``device=cuda`` given anew is still refused there.
    """
    if stored.device == "cuda" and not torch.cuda.is_available():
        return stored.model_copy(update={"device": "auto"})
    return stored
