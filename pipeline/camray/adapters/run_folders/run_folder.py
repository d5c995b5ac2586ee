"""Run folders: one folder per stage, a lock, and ``stage.json`` written last.

``begin.json`` records the inputs and settings of an unfinished stage: a second start resumes its files, or deletes them
if anything changed. ``stage.json`` proves that the stage finished. Outputs of a finished stage that runs again are kept
until the new ones are complete.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.digests import digest_of
from camray.adapters.run_folders.finished_outputs import changed_output, describe_outputs
from camray.adapters.run_folders.part_folders import working_parts
from camray.adapters.run_folders.run_lock import held_alone, held_together, is_held_alone
from camray.adapters.run_folders.stage_record import is_record, with_own_digest
from camray.adapters.run_folders.stage_replacement import (
    BEGIN_FILE,
    STAGE_FILE,
    delete,
    forget,
    restore,
    restore_all,
    set_aside,
    unfinished_of,
)
from camray.domain.errors import IncompleteError, PipelineError
from camray.domain.records import StageResult

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
        """Return a finished stage's ``stage.json``, or None if it has not finished or the file is damaged."""
        record = _json_or_none(self.root / name / STAGE_FILE)
        return record if is_record(record) else None

    def _undamaged_record(self, name: str) -> dict[str, Any] | None:
        """Return a stage's ``stage.json``, or None if it has not finished; a damaged file is an error."""
        record, path = self.record(name), self.root / name / STAGE_FILE
        if record is None and path.is_file():
            raise PipelineError(
                f"{path}: damaged, so whether stage '{name}' finished, and with which outputs, is unknown; restore the "
                f"file, or {how_to_write(path, again=True)}"
            )
        return record

    def output_digest(self, name: str) -> str:
        """Return one digest over all outputs of a finished stage.

        Raises
        ------
        PipelineError
            If the stage has not finished, or its record is damaged.
        """
        record = self._undamaged_record(name)
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
        with ExitStack() as held:
            try:
                is_first = held.enter_context(held_alone(self.root))
            except IncompleteError as error:
                if parts := [f"{each.folder.parent.name} {each.part}" for each in working_parts(self.root)]:
                    raise IncompleteError(
                        f"{self.root}: parts are at work ({', '.join(parts)}); wait for their end, then run the same "
                        "command again"
                    ) from error
                raise
            if is_first:
                restore_all(self.root)
            yield

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the run's lock together with other parts, so that no process holds it alone; raises as `locked`."""
        with held_together(self.root):
            yield

    def is_done(self, name: str, settings_digest: str, inputs: Mapping[str, str]) -> bool:
        """Return whether the stage finished with the same settings and inputs, and all its outputs exist.

        Raises
        ------
        PipelineError
            If it did, and an output or the record has changed since.
        """
        record = self._undamaged_record(name)
        if record is None or record.get("settings_digest") != settings_digest or record.get("inputs") != dict(inputs):
            return False
        is_whole = {"stage", "counts", "figures"} <= record.keys()
        if not is_whole or self.missing_outputs(name):
            return False
        self.check_outputs(name)
        return True

    def has_record(self, name: str) -> bool:
        """Return whether a stage has a ``stage.json``, damaged or not."""
        return (self.root / name / STAGE_FILE).is_file()

    def is_begun(self, name: str) -> bool:
        """Return whether a stage has unfinished work, whatever its settings."""
        return any((folder / BEGIN_FILE).is_file() for folder in unfinished_of(self.root, name))

    def is_locked(self) -> bool:
        """Return whether another process works on the run alone; writes nothing, holds a shared lock for an instant."""
        return is_held_alone(self.root)

    def missing_outputs(self, name: str) -> list[str]:
        """List the outputs of a finished stage that do not exist; their paths are relative to the stage's folder."""
        outputs = (self.record(name) or {}).get("outputs", {})
        return [path for path in outputs if not (self.root / name / path).is_file()]

    def has_unfinished(self, name: str, settings_digest: str, inputs: Mapping[str, str]) -> bool:
        """Return whether there is unfinished work with the same settings and inputs, which `begin` would resume."""
        claim = {"settings_digest": settings_digest, "inputs": dict(inputs)}
        folders = [each for each in unfinished_of(self.root, name) if not (each / STAGE_FILE).is_file()]
        return any(_json_or_none(folder / BEGIN_FILE) == claim for folder in folders)

    def check_outputs(self, name: str, only: Collection[str] | None = None) -> None:
        """Compare the outputs of a stage with its record; a stage without one has nothing to compare.

        Parameters
        ----------
        name : str
            Stage.
        only : collection of str or None
            Paths of the outputs to compare; None compares all.

        Raises
        ------
        PipelineError
            If an output or the record has changed; the message names the file and the command that writes it again.
        """
        record = self._undamaged_record(name)
        changed = None if record is None else changed_output(self.root / name, record, only)
        if changed is not None:
            mend = how_to_write(self.root / name / STAGE_FILE, again=True)
            raise PipelineError(
                f"{changed}: changed or damaged since stage '{name}' wrote it (its digest differs from the one in "
                f"{STAGE_FILE}); restore the file, or {mend}"
            )

    def is_current(self, name: str) -> bool:
        """Return whether a stage finished, and with what the stages that it reads have now written.

        The films that a network was trained on are not compared: a comparison explains a sample of other films.
        """
        record = self.record(name)
        if record is None:
            return False
        for source, digest in record.get("inputs", {}).items():
            run = self.model_run if source in {"train", "trained_localize"} else self
            before = run.record(source.removeprefix("trained_"))
            if before is not None and digest_of(before["outputs"]) != digest:
                return False
            if before is not None and source != "train" and run is self and not self.is_current(source):
                return False
        return True

    def begin(self, name: str, settings_digest: str, inputs: Mapping[str, str]) -> bool:
        """Start a stage: keep unfinished work with the same settings and inputs, delete other unfinished work.

        A stage that had finished starts from nothing; its outputs are set aside until `finish`.

        Returns
        -------
        bool
            Whether unfinished work was kept, so that the stage resumes.
        """
        folder = self.root / name
        claim = {"settings_digest": settings_digest, "inputs": dict(inputs)}
        restore(self.root, name)
        if (folder / STAGE_FILE).is_file():
            set_aside(self.root, name)
        resumes = bool(_json_or_none(folder / BEGIN_FILE) == claim)
        if not resumes:
            delete(folder)
        write_json(folder / BEGIN_FILE, claim)
        return resumes

    @contextmanager
    def replacing(self, name: str) -> Iterator[None]:
        """Bring back a stage's earlier outputs if the block, which begins and finishes it again, fails."""
        try:
            yield
        except BaseException:
            restore(self.root, name)
            raise

    def finish(self, name: str, claim: Mapping[str, Any], result: StageResult) -> dict[str, Any]:
        """Write ``stage.json`` with the digests of all outputs and the time, atomically and last.

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
        record = with_own_digest(
            {
                "stage": name,
                "counts": result.counts.as_json(),
                "figures": result.figures,
                "finished_at": datetime.now().astimezone().isoformat(timespec="seconds"),
                **claim,
                **describe_outputs(folder, {STAGE_FILE, BEGIN_FILE}),
            }
        )
        write_json(folder / STAGE_FILE, record)
        forget(self.root, name)
        return record


def _json_or_none(path: Path) -> Any:
    """Read JSON, or return None where the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None


def how_to_write(path: Path, *, again: bool = False) -> str:
    """Return the advice which command writes a run's table, or writes it again."""
    if path.name == SETTINGS_FILE:
        name = "run CONFIG" if (path.parent / "train").is_dir() else "run CONFIG`, `camray predict` or `camray compare"
        return f"repeat the command that made {path.parent} (`camray {name}`), which writes it again"
    root, stage = path.parent.parent, path.parent.name
    if stage == "refined":
        return f"delete {path.parent} and repeat the `camray refine` that made {root}"
    if not (root / SETTINGS_FILE).is_file():
        return "run the stage that writes it" + (" again" if again else "")
    if not (root / "train").is_dir():
        first = f"delete {path.parent} and run" if again else "run"
        is_first = stage in {"generate", "ingest", "train"} and not (root / "explain").is_dir()
        if is_first:  # a stage command needs a trained run
            return f"{first} `camray run CONFIG`" + (" again" if again else "")
        return f"{first} the `camray predict` that made {root}" + (" again" if again else "")
    return f"run `camray {stage} {root}" + (" --force` again" if again else "`")
