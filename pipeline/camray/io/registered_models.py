"""Models from MLflow on this machine: obtained once for each version, and checked by their digests at every use.

Reads and writes  a folder per version in the user's cache
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.tracking.registry import StoredModel, download_model, find_model
from camray.domain.errors import CheckpointError, PipelineError
from camray.io.artifacts import RunArtifacts

_FILES = Path("artifacts") / "run"  # where MLflow keeps what `Tracker.model` was given
_DIGESTS, _MODEL = "digests.json", "model"


def local_model(address: str, store: str, cache: Path) -> Path:
    """Return the folder with the files of a registered model, in the layout of a run.

    Parameters
    ----------
    address : str
        See `camray.adapters.tracking.registry.find_model`.
    store : str
        URI of the tracking store.
    cache : Path
        Folder for models; made where it is missing.

    Raises
    ------
    SettingsError
        If there is no such model.
    UnreachableError
        If the store does not answer.
    CheckpointError
        If the model is not one of camray's.
    PipelineError
        If the cache cannot be written.
    """
    model = find_model(address, store)
    entry = cache / hashlib.sha256(model.identity.encode()).hexdigest()[:24]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{entry}.lock"):
            if not _is_whole(entry):
                shutil.rmtree(entry, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix=f".{entry.name}.", dir=cache) as work:
                    _obtain(model, store, Path(work)).rename(entry)
    except PermissionError as error:
        raise PipelineError(f"{cache}: cannot be written; name another folder in XDG_CACHE_HOME") from error
    files = entry / _MODEL / _FILES
    if not RunArtifacts(files).train.weights.is_file():
        raise CheckpointError(f"{address}: not a model that camray registered; it has no weights of a trained run")
    return files


def _obtain(model: StoredModel, store: str, work: Path) -> Path:
    fresh, download = work / "fresh", work / "download"
    fresh.mkdir()
    download.mkdir()
    download_model(model, store, download).rename(fresh / _MODEL)
    write_json(fresh / _DIGESTS, _digests_of(fresh))
    return fresh


def _is_whole(entry: Path) -> bool:
    """Return whether every file is there, as it was obtained."""
    try:
        recorded = json.loads((entry / _DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(recorded == _digests_of(entry))


def _digests_of(entry: Path) -> dict[str, str]:
    folder = entry / _MODEL
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: file_digest(path) for name, path in files.items() if "__pycache__" not in path.parts}
