"""Run folders: one sub-folder a stage, a lock, and ``stage.json`` written last.

``begin.json`` says which inputs and settings the files of an unfinished stage belong to, so that a second start
resumes them, and throws them away when anything changed. ``stage.json`` is the proof that the stage happened.
"""

import difflib
import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
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
SETTINGS_FILE = "settings.json"  # what makes a folder a run
_SHOWN_RUNS = 8


@dataclass(frozen=True)
class RunFolder:
    """Where one run lives.

    Parameters
    ----------
    root : Path
        ``runs/<name>``.
    trained : Path or None
        Root of the run whose checkpoint and thresholds are used; None means this one's own.
    """

    root: Path
    trained: Path | None = None

    def stage(self, name: str) -> Path:
        """Return a stage's folder, made if it is missing."""
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def model_run(self) -> "RunFolder":
        """The run that owns the checkpoint and the thresholds."""
        return self if self.trained is None else RunFolder(self.trained)

    def record(self, name: str) -> dict[str, Any] | None:
        """Return a finished stage's ``stage.json``, or None where the stage did not happen."""
        path = self.root / name / STAGE_FILE
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def output_digest(self, name: str) -> str:
        """Return one digest over all outputs of a finished stage.

        Raises
        ------
        PipelineError
            If the stage has not happened.
        """
        record = self.record(name)
        if record is None:
            raise PipelineError(f"{self.root}: stage '{name}' has not finished; run it first")
        return digest_of(record["outputs"])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run's lock, or refuse when another process holds it; this process may hold it more than once.

        Raises
        ------
        SettingsError
            If nothing can be written there.
        IncompleteError
            If another process works on this run.
        """
        lock = FileLock(self.root / LOCK_FILE, is_singleton=True)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise IncompleteError(
                f"{self.root}: another process is working on this run; wait for its end, then give this command again"
            ) from error
        except OSError as error:
            raise SettingsError(
                f"{self.root}: a run cannot be written here ({error.strerror or type(error).__name__}); name a folder "
                "that is writable with --runs, or --out of `camray predict`"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def is_done(self, name: str, settings_digest: str, inputs: Mapping[str, str]) -> bool:
        """Tell whether the stage finished with these very settings and inputs, and its outputs are all there."""
        record = self.record(name)
        if record is None or record.get("settings_digest") != settings_digest or record.get("inputs") != dict(inputs):
            return False
        return all((self.root / name / path).is_file() for path in record["outputs"])

    def begin(self, name: str, settings_digest: str, inputs: Mapping[str, str]) -> bool:
        """Open a stage; keep unfinished work that belongs to the same settings and inputs, drop any other.

        A stage that had finished and is opened all the same was asked for anew: nothing of it is kept.

        Returns
        -------
        bool
            True if unfinished work was kept, so that the stage resumes.
        """
        folder = self.stage(name)
        claim = {"settings_digest": settings_digest, "inputs": dict(inputs)}
        begun = folder / BEGIN_FILE
        resumes = False
        if begun.is_file() and not (folder / STAGE_FILE).is_file():
            try:
                resumes = json.loads(begun.read_text(encoding="utf-8")) == claim
            except ValueError:
                resumes = False
        if not resumes:
            shutil.rmtree(folder)
            folder.mkdir()
        write_json(begun, claim)
        return resumes

    def finish(self, name: str, claim: Mapping[str, Any], result: StageResult) -> dict[str, Any]:
        """Digest a stage's outputs and write ``stage.json``, last and atomically.

        Parameters
        ----------
        name : str
            Stage.
        claim : mapping
            Further keys of the record: settings, settings_digest, inputs, code_version, seconds, peak_memory_mib.
        result : StageResult
            What the stage returned.
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


def check_is_run(root: Path) -> None:
    """Refuse a folder that holds no run, and name the runs that may have been meant.

    Raises
    ------
    SettingsError
        If `root` has no settings of a run.
    """
    if (root / SETTINGS_FILE).is_file():
        return
    places = (root.parent, root.parent / "runs")
    known = {path.parent.name: path.parent for place in places for path in sorted(place.glob(f"*/{SETTINGS_FILE}"))}
    if not known:
        raise SettingsError(
            f"{root}: no run lives here, nor beside it; make one with `camray run CONFIG` or `camray demo`"
        )
    near = difflib.get_close_matches(root.name, known, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(str(known[name]) for name in near)}? " if near else ""
    more = f" and {len(known) - _SHOWN_RUNS} more" if len(known) > _SHOWN_RUNS else ""
    raise SettingsError(
        f"{root}: no run lives here; {meant}runs there are: {', '.join(list(known)[:_SHOWN_RUNS])}{more}"
    )


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-able value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def folder_digest(path: Path) -> str:
    """Digest what lies at a path without reading it all: names, sizes and times of change of every file.

    Reading terabytes of films to learn that nothing changed would cost more than the stage it saves.
    """
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    listing = []
    for file in files:
        status = file.stat()
        listing.append((file.relative_to(path).as_posix(), status.st_size, status.st_mtime_ns))
    return digest_of(listing)


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
    """Write a file so that it is either whole or not there."""
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
    """Read a Parquet table back with its types.

    Parameters
    ----------
    path : Path
        The file.
    columns : mapping
        Name to type, in order.
    categories : collection of str
        Text columns with few values: they come as categories in alphabetical order, of which each row holds a number
        alone. Where there are millions of rows, nothing else is quick or fits.

    Raises
    ------
    PipelineError
        If the file is missing or its columns are not the expected ones: the message names the command that mends it.
    """
    if not path.is_file():
        raise PipelineError(f"{path}: no such table; {how_to_write(path)}")
    found = list(pyarrow.parquet.read_schema(path).names)
    if found != list(columns):
        lacking, unknown = [c for c in columns if c not in found], [c for c in found if c not in columns]
        told = [f"{what} {', '.join(names)}" for what, names in (("lacks", lacking), ("also has", unknown)) if names]
        age = "a later" if unknown and not lacking else "an earlier"
        which = "; ".join(told) or "its columns stand in another order"
        raise PipelineError(f"{path}: made by {age} camray ({which}); {how_to_write(path, again=True)}")
    table = _with_categories(path, categories) if categories else pd.read_parquet(path)
    return table.astype({name: kind for name, kind in columns.items() if name not in categories})


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
    """Name the command that writes a run's table, or writes it again."""
    root, stage = path.parent.parent, path.parent.name
    if not (root / SETTINGS_FILE).is_file():
        return "run the stage that writes it" + (" again" if again else "")
    if stage not in {"ingest", "train"} and not (root / "train").is_dir():  # its network is another run's
        first = f"delete {path.parent} and run" if again else "run"
        return f"{first} the `camray predict` that made {root}" + (" again" if again else "")
    return f"run `camray {stage} {root}" + (" --force` again" if again else "`")
