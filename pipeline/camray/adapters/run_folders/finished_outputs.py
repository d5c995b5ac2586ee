"""Outputs of a finished stage, compared with what its record says: size and time first, the digest where they differ.

A copied run folder has other times, so its files are read. A model is always read.
"""

import functools
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

ALWAYS_READ = {".safetensors"}  # small beside what they decide


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def describe_outputs(folder: Path, without: Collection[str]) -> dict[str, dict[str, Any]]:
    """Describe the files of a stage for its record.

    Parameters
    ----------
    folder : Path
        Of the stage.
    without : collection of str
        Names of files that are no outputs; ``*.tmp`` are none either.

    Returns
    -------
    dict
        ``outputs``: digest by path; ``files``: size, byte, and time of the last change, ns, by path.
    """
    outputs, files = {}, {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in without and not path.name.endswith(".tmp"):
            name, status = path.relative_to(folder).as_posix(), path.stat()
            outputs[name], files[name] = file_digest(path), [status.st_size, status.st_mtime_ns]
    return {"outputs": outputs, "files": files}


def changed_output(folder: Path, record: Mapping[str, Any], only: Collection[str] | None = None) -> Path | None:
    """Return the first output that differs from the record, or None. Missing files are left to their readers.

    Parameters
    ----------
    folder : Path
        Of the stage.
    record : mapping
        The stage's record; without ``files``, as of early versions, every file is read.
    only : collection of str or None
        Paths of the outputs to compare; None compares all.
    """
    known = record.get("files")
    known = known if isinstance(known, dict) else {}
    for name, digest in record["outputs"].items():
        path = folder / str(name)
        if (only is not None and name not in only) or not path.is_file():
            continue
        status = path.stat()
        stamp = (status.st_size, status.st_mtime_ns)
        if known.get(name) == list(stamp) and path.suffix not in ALWAYS_READ:
            continue
        if _digest_at(path, *stamp) != digest:
            return path
    return None


@functools.cache
def _digest_at(path: Path, size: int, mtime_ns: int) -> str:
    """Digest of a file in one state, so that a process reads it once."""
    return file_digest(path)
