"""Run folders: one folder per stage, a lock, and ``stage.json`` written last.

``begin.json`` records the inputs and settings of an unfinished stage: a second start resumes its files, or deletes them
if anything changed. ``stage.json`` proves that the stage finished.
"""

import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
from filelock import FileLock, Timeout

from camray.domain.errors import IncompleteError, PipelineError, SettingsError
from camray.domain.records import StageResult

STAGE_FILE, BEGIN_FILE, LOCK_FILE = "stage.json", "begin.json", ".lock"
SETTINGS_FILE = "settings.json"  # a folder with this file is a run


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Parameters
    ----------
    root : Path
        ``runs/<name>``.
    trained : Path or None
        Root of the run whose checkpoint and thresholds are used; None means this run.
    """

    root: Path
    trained: Path | None = None

    def stage(self, name: str) -> Path:
        """Return a stage's folder, created if missing."""
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def model_run(self) -> "RunFolder":
        """The run that owns the checkpoint and the thresholds."""
        return self if self.trained is None else RunFolder(self.trained)

    def record(self, name: str) -> dict[str, Any] | None:
        """Return a finished stage's ``stage.json``, or None if it has not finished."""
        path = self.root / name / STAGE_FILE
        if not path.is_file():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            return None
        return record if isinstance(record, dict) else None

    def output_digest(self, name: str) -> str:
        """Return one digest over all outputs of a finished stage.

        Raises
        ------
        PipelineError
            If the stage has not finished.
        """
        record = self.record(name)
        if record is None:
            raise PipelineError(f"{self.root}: stage '{name}' has not finished; run it first")
        return digest_of(record["outputs"])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run's lock, which one process can hold several times.

        Raises
        ------
        SettingsError
            If the folder cannot be written.
        IncompleteError
            If another process holds the lock.
        """
        lock = FileLock(self.root / LOCK_FILE, is_singleton=True)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise IncompleteError(
                f"{self.root}: another process holds the run's lock; wait for its end, then run the same command again"
            ) from error
        except OSError as error:
            raise SettingsError(
                f"{self.root}: the folder cannot be written ({error.strerror or type(error).__name__}); name a "
                "writable folder with --runs, or with --out of `camray predict`"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def is_done(self, name: str, settings_digest: str, inputs: Mapping[str, str]) -> bool:
        """Return whether the stage finished with the same settings and inputs, and all its outputs exist."""
        record = self.record(name)
        if record is None or record.get("settings_digest") != settings_digest or record.get("inputs") != dict(inputs):
            return False
        return all((self.root / name / path).is_file() for path in record["outputs"])

    def begin(self, name: str, settings_digest: str, inputs: Mapping[str, str]) -> bool:
        """Start a stage: keep unfinished work with the same settings and inputs, delete everything else.

        A stage that had finished starts from nothing.

        Returns
        -------
        bool
            Whether unfinished work was kept, so that the stage resumes.
        """
        folder = self.stage(name)
        claim = {"settings_digest": settings_digest, "inputs": dict(inputs)}
        begin_file = folder / BEGIN_FILE
        resumes = False
        if begin_file.is_file() and not (folder / STAGE_FILE).is_file():
            try:
                resumes = json.loads(begin_file.read_text(encoding="utf-8")) == claim
            except ValueError:
                resumes = False
        if not resumes:
            shutil.rmtree(folder)
            folder.mkdir()
        write_json(begin_file, claim)
        return resumes

    def finish(self, name: str, claim: Mapping[str, Any], result: StageResult) -> dict[str, Any]:
        """Write ``stage.json`` with the digests of all outputs, atomically and last.

        Parameters
        ----------
        name : str
            Stage.
        claim : mapping
            Further keys of the record: settings, settings_digest, inputs, code_version, seconds, peak_memory_mib.
        result : StageResult
            Return value of the stage.
        """
        folder = self.stage(name)
        outputs = {
            path.relative_to(folder).as_posix(): file_digest(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in {STAGE_FILE, BEGIN_FILE} and not path.name.endswith(".tmp")
        }
        record = {
            "stage": name,
            "counts": result.counts.as_json(),
            "figures": result.figures,
            **claim,
            "outputs": outputs,
        }
        write_json(folder / STAGE_FILE, record)
        return record


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
        if identity in entered:
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
    package = Path(__file__).resolve().parents[1]
    sources = {p.relative_to(package).as_posix(): file_digest(p) for p in sorted(package.rglob("*.py"))}
    return f"{importlib.metadata.version('camray')}+{digest_of(sources)[:12]}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys sorted."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True, default=str) + "\n").encode())


def write_table(path: Path, table: pd.DataFrame, columns: Mapping[str, str]) -> None:
    """Write a Parquet table with exactly these columns and types, atomically.

    Raises
    ------
    PipelineError
        If columns are missing or too many, or a value does not fit its type.
    """
    if list(table.columns) != list(columns):
        raise PipelineError(f"{path.name}: columns {list(table.columns)}, expected {list(columns)}")
    try:
        typed = table.reset_index(drop=True).astype(dict(columns))
    except (TypeError, ValueError) as error:
        raise PipelineError(f"{path.name}: a value does not fit its column's type: {error}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    typed.to_parquet(temporary, index=False)
    temporary.replace(path)


def read_table(path: Path, columns: Mapping[str, str], categories: Collection[str] = ()) -> pd.DataFrame:
    """Read a Parquet table with its column types.

    Parameters
    ----------
    path : Path
        The file.
    columns : mapping
        Name to type, in order.
    categories : collection of str
        Text columns with few values, read as categories in alphabetical order. With millions of rows, texts would not
        fit into memory.

    Raises
    ------
    PipelineError
        If the file is missing or has other columns; the message names the command that writes it again.
    """
    if not path.is_file():
        raise PipelineError(f"{path}: no such table; {how_to_write(path)}")
    present = list(pyarrow.parquet.read_schema(path).names)
    if present != list(columns):
        raise PipelineError(f"{path}: {_difference(present, list(columns))}; {how_to_write(path, again=True)}")
    table = _with_categories(path, categories) if categories else pd.read_parquet(path)
    return table.astype({name: kind for name, kind in columns.items() if name not in categories})


def _difference(present: list[str], expected: list[str]) -> str:
    """Describe how the columns of a table differ from the expected ones."""
    missing = [name for name in expected if name not in present]
    unknown = [name for name in present if name not in expected]
    version = "a later" if unknown and not missing else "an earlier"
    parts = [f"{what} {', '.join(names)}" for what, names in (("lacks", missing), ("also has", unknown)) if names]
    return f"written by {version} version of camray ({'; '.join(parts) or 'its columns have another order'})"


def _with_categories(path: Path, categories: Collection[str]) -> pd.DataFrame:
    read = pyarrow.parquet.read_table(path, read_dictionary=list(categories))
    table: pd.DataFrame = read.to_pandas(
        categories=list(categories), ignore_metadata=True, split_blocks=True, self_destruct=True
    )
    del read
    pyarrow.default_memory_pool().release_unused()
    for name in categories:
        table[name] = table[name].cat.set_categories(sorted(table[name].cat.categories.astype(str)))
    return table


def how_to_write(path: Path, *, again: bool = False) -> str:
    """Return the advice which command writes a run's table, or writes it again."""
    root, stage = path.parent.parent, path.parent.name
    if not (root / SETTINGS_FILE).is_file():
        return "run the stage that writes it" + (" again" if again else "")
    if stage not in {"ingest", "train"} and not (root / "train").is_dir():  # its model is from another run
        first = f"delete {path.parent} and run" if again else "run"
        return f"{first} the `camray predict` that made {root}" + (" again" if again else "")
    return f"run `camray {stage} {root}" + (" --force` again" if again else "`")
