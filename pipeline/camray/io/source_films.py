"""Folder of the source films of a run."""

from pathlib import Path

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.io.artifacts import artifacts_of


def source_root(settings: Settings, folder: RunFolder) -> Path | None:
    """Return the folder that ``source`` of the images table is relative to, or None if the settings name none."""
    root = settings.data.root if settings.data.generate is None else artifacts_of(folder).generate.folder
    return root.parent if root is not None and root.is_file() else root
