"""A model as a module of a container: films of one folder in, DICOM objects, boxes and a result file in another.

Reads   a model; a folder of films, with ``task.json`` where mercure started the job
Writes  ``*.dcm boxes.csv result.json`` in the output folder, without folders of their own, where mercure looks for them
Run     ``camray module phantom-model films/ answers/``
"""

import shutil
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from camray.adapters.container_contract import BESIDE_FILMS, task_options, write_result
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import with_export_formats
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.domain.errors import SettingsError
from camray.io.artifacts import artifacts_of
from camray.workflows.predict import settings_for, with_prevalences
from camray.workflows.run import run
from camray.workflows.run_summary import top_findings

FORMATS = "sr,sc"
_ALL = 10**9


def run_module(trained: Path, films: Path, out: Path) -> dict[str, Any]:
    """Apply a model to the films of a folder and write what the host of the container reads.

    Parameters
    ----------
    trained : Path
        A run or a package.
    films, out : Path
        Input and output folder; the latter is made where it is missing.

    Returns
    -------
    dict
        Content of the result file: for each film its file, probabilities, what is reported or not judged, and why
        files were refused.

    Raises
    ------
    SettingsError
        If a folder does not exist, the output lies in the input, or a job's setting is not legal.
    InputRefusedError
        If no file is a usable film.
    """
    if films.resolve() == out.resolve():
        raise SettingsError(f"{out}: the folder of the films; expected another for the results")
    settings = _with_options(settings_for(trained, films, None, None), trained, task_options(films))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="camray-module-") as root:
        folder = RunFolder(Path(root) / "findings", trained=trained)
        history = Path(root) / "history"
        export = settings.export.model_copy(update={"history": history})
        for _ in run(settings.model_copy(update={"export": export}), folder, NullTracker()):
            pass
        result = _result(folder, settings)
        files = artifacts_of(folder).export
        for path in (*files.dicom_objects(), files.boxes):
            if path.is_file():
                shutil.copyfile(path, out / path.name)
    write_result(out, result, _notification(result))
    return result


def _with_options(settings: Settings, trained: Path, options: Mapping[str, Any]) -> Settings:
    formats = options.get("formats", FORMATS)
    listed = ",".join(map(str, formats)) if isinstance(formats, list) else str(formats)
    changed = with_export_formats(settings, f"{listed},csv")
    given = options.get("prevalence", {})
    if not isinstance(given, Mapping):
        raise SettingsError("task.json: prevalence: expected an object of findings with numbers between 0 and 1")
    pairs = [f"{label}={number}" for label, number in given.items()]
    return with_prevalences(changed, trained, pairs) if pairs else changed


def _result(folder: RunFolder, settings: Settings) -> dict[str, Any]:
    files = artifacts_of(folder)
    found = top_findings(folder, _ALL, settings.localize.report)
    refusals = files.ingest.refusals.read()
    refusals = refusals[~refusals["source"].astype(str).str.endswith(BESIDE_FILMS)]
    return {
        "camray": metadata.version("camray"),
        "model": settings.name,
        "films": [] if found is None else found.rows,
        "refused": refusals[["source", "reason", "message"]].astype(str).to_dict("records"),
    }


def _notification(result: Mapping[str, Any]) -> str:
    """Return a sentence on the films with a reported finding; empty where there is none."""
    reported = sorted({label for film in result["films"] for label in film["reported"]})
    films = sum(bool(film["reported"]) for film in result["films"])
    return f"camray: {', '.join(reported)} reported on {films} of {len(result['films'])} films" if reported else ""
