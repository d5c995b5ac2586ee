"""What hosts of containers agree on: folders named in the environment, a job's settings, and a file with the results.

mercure names the folders ``MERCURE_IN_DIR`` and ``MERCURE_OUT_DIR``, puts ``task.json`` beside the films, and reads
``result.json`` beside the DICOM objects of the module. A MONAI Application Package has ``HOLOSCAN_INPUT_PATH`` and
``HOLOSCAN_OUTPUT_PATH``.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from camray.domain.errors import SettingsError
from camray.domain.suggestions import did_you_mean

INPUT_VARIABLES = ("MERCURE_IN_DIR", "HOLOSCAN_INPUT_PATH")
OUTPUT_VARIABLES = ("MERCURE_OUT_DIR", "HOLOSCAN_OUTPUT_PATH")
MODEL_VARIABLES = ("CAMRAY_MODEL", "HOLOSCAN_MODEL_PATH")
NOTIFICATION = "__mercure_notification"
TASK, RESULT = "task.json", "result.json"
BESIDE_FILMS = (TASK, ".tags")  # ends of names of what mercure puts beside the films
OPTIONS = ("formats", "prevalence")


def folder_for(given: Path | None, variables: tuple[str, ...], what: str) -> Path:
    """Return a folder: given, or the first that the environment names.

    Raises
    ------
    SettingsError
        If there is none.
    """
    named = next((value for name in variables if (value := os.environ.get(name))), None)
    if given is None and named is None:
        raise SettingsError(f"{what}: not given; name it on the command line or in {' or '.join(variables)}")
    return given if given is not None else Path(str(named))


def task_options(folder: Path) -> dict[str, Any]:
    """Return the settings that a job has for this module; none without ``task.json``.

    Raises
    ------
    SettingsError
        If the file is no JSON of a job, or has a setting that does not exist.
    """
    path = folder / TASK
    if not path.is_file():
        return {}
    try:
        process = json.loads(path.read_text(encoding="utf-8")).get("process") or {}
        first = process[0] if isinstance(process, list) else process
        options = first.get("settings") or {}
        unknown = [name for name in options if name not in OPTIONS]
    except (ValueError, AttributeError, TypeError, IndexError, KeyError) as error:
        raise SettingsError(f"{path}: not a job of mercure; expected JSON with process.settings") from error
    if unknown:
        raise SettingsError(f"{path}: no setting '{unknown[0]}'; {did_you_mean(unknown[0], OPTIONS, 'expected')}")
    return dict(options)


def write_result(folder: Path, result: Mapping[str, Any], notification: str) -> None:
    """Write the file with the results; with a notification, if that is not empty, which mercure passes on."""
    note = {NOTIFICATION: {"text": notification}} if notification else {}
    text = json.dumps({**result, **note}, indent=1, ensure_ascii=False, allow_nan=False)
    partial = folder / f".{RESULT}.tmp"
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(folder / RESULT)
