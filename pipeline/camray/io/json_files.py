"""JSON files of a run: reading, with messages that name the file and the command that writes it."""

import json
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.run_folder import how_to_write
from camray.domain.errors import PipelineError


def read_json(path: Path) -> Any:
    """Read a JSON file of a run.

    Raises
    ------
    PipelineError
        If it is missing or is not JSON.
    """
    if not path.is_file():
        raise PipelineError(f"{path}: no such file; {how_to_write(path)}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"{path}: not readable as JSON ({error}); {how_to_write(path, again=True)}") from error


def other_version(path: Path, error: Exception) -> PipelineError:
    """Return the error for a file whose keys or values are not those of this version."""
    what = f"misses {error}" if isinstance(error, KeyError) else str(error)
    return PipelineError(f"{path}: made by another version of camray ({what}); {how_to_write(path, again=True)}")
