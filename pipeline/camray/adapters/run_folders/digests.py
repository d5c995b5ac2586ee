"""Digests of values, of data folders and of the sources of this code."""

import functools
import hashlib
import importlib.metadata
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.finished_outputs import file_digest
from camray.domain.system_folders import is_of_system


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-able value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def folder_digest(path: Path) -> str:
    """Digest of a file or folder by names, sizes and modification times.

    The contents are not read: for terabytes of films that would cost more than the stage that it saves.
    """
    files = [(path, path.stat())] if path.is_file() else sorted(_files_below(path), key=lambda file: file[0])
    listing = [(file.relative_to(path).as_posix(), status.st_size, status.st_mtime_ns) for file, status in files]
    return digest_of(listing)


def _files_below(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files of a folder, also of linked folders; each folder once, and nothing that cannot be read."""
    entered = {_identity(folder.stat()) for folder in root.resolve().parents}
    for folder, folders, names in os.walk(root, followlinks=True):
        identity = _identity(Path(folder).stat())
        if identity in entered or (Path(folder).is_symlink() and is_of_system(Path(folder).resolve())):
            folders.clear()
            continue
        entered.add(identity)
        folders.sort()
        for name in names:
            with suppress(OSError):
                status = (Path(folder) / name).stat()
                if stat.S_ISREG(status.st_mode):
                    yield Path(folder) / name, status


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


@functools.cache
def code_version() -> str:
    """Version of the package and a digest of its sources, for instance ``0.1.0+3f9a1c2b7d04``."""
    package = Path(__file__).resolve().parents[2]
    sources = {p.relative_to(package).as_posix(): file_digest(p) for p in sorted(package.rglob("*.py"))}
    return f"{importlib.metadata.version('camray')}+{digest_of(sources)[:12]}"


def claim_of(settings: Any, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return what the record of a finished stage says of its settings, inputs and code."""
    return {
        "settings": settings,
        "settings_digest": digest_of(settings),
        "inputs": dict(inputs),
        "code_version": code_version(),
    }
