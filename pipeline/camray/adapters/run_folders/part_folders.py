"""Folders of parts: each process that does a share of a stage writes into one of its own.

``parts/<stage>-<key>/I-of-N/`` has finished units (shards) as the stage's unfinished folder has them, and of each
unit a record with the digests of its files, written last. The key is a digest of the stage's settings and inputs.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.digests import digest_of
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.run_folders.run_lock import held_alone, is_held_alone
from camray.adapters.run_folders.stage_record import is_undamaged, with_own_digest
from camray.domain.errors import PipelineError
from camray.domain.parts import Part

PARTS_FOLDER = "parts"
_PART_FILE = "part.json"
_UNIT = re.compile(r"unit-(\d{5,})\.json")
_NAME = re.compile(r"(\d+)-of-(\d+)")
_DISAGREEMENTS = {
    "code_version": "by another version of camray",
    "key_fingerprint": "with another key for pseudonyms",
    "inputs": "from other films",
}


def key_of(stage: str, settings_digest: str, inputs: Mapping[str, str]) -> str:
    """Return the key that a stage's parts lie under: equal settings and inputs, equal key."""
    return digest_of([stage, settings_digest, dict(inputs)])[:16]


@dataclass(frozen=True)
class PartFolder:
    """The folder of one part.

    Parameters
    ----------
    folder : Path
        Its files.
    part : Part
        Which share.
    claim : dict
        What its units are made of: stage, settings, settings_digest, inputs, code_version, and key_fingerprint where
        pseudonyms are made.
    """

    folder: Path
    part: Part
    claim: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key that the folder lies under."""
        return self.folder.parent.name.rpartition("-")[2]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this part alone.

        Raises
        ------
        IncompleteError
            If another process is doing the same part.
        """
        with held_alone(self.folder, f"the lock of part {self.part}"):
            yield

    def is_working(self) -> bool:
        """Return whether a process is doing this part."""
        return is_held_alone(self.folder)

    def begin(self, units: int) -> list[int]:
        """Say what the part is made of, and return those of its units that are not whole yet.

        Parameters
        ----------
        units : int
            Number of units of the stage.
        """
        write_json(self.folder / _PART_FILE, with_own_digest({**self.claim, "part": str(self.part), "units": units}))
        return [unit for unit in range(units) if self.part.owns(unit) and not self._is_whole(unit)]

    def finish(self, unit: int, files: Sequence[Path]) -> None:
        """Record a unit whose files are complete; the last of them is the one that proves a unit to the stage."""
        listed = [[path.relative_to(self.folder).as_posix(), path.stat().st_size, file_digest(path)] for path in files]
        write_json(self._record(unit), with_own_digest({"key": self.key, "unit": unit, "files": listed}))

    def stored_claim(self) -> dict[str, Any] | None:
        """Return what the part says that it is made of, or None if it does not say so legibly."""
        stored = _record_or_none(self.folder / _PART_FILE)
        return stored if stored is not None and stored.get("part") == str(self.part) else None

    def units(self) -> list[int]:
        """List the units that are recorded as finished."""
        if not self.folder.is_dir():
            return []
        matches = (_UNIT.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def files_of(self, unit: int) -> list[tuple[str, int, str]] | None:
        """Return path, size (bytes) and digest of a unit's files, or None where its record is damaged or missing."""
        record = _record_or_none(self._record(unit))
        if record is None or record.get("key") != self.key or record.get("unit") != unit:
            return None
        return [(str(name), int(size), str(digest)) for name, size, digest in record["files"]]

    def _record(self, unit: int) -> Path:
        return self.folder / f"unit-{unit:05d}.json"

    def _is_whole(self, unit: int) -> bool:
        files = self.files_of(unit)
        return files is not None and all(is_as_recorded(self.folder / file[0], *file[1:]) for file in files)


@dataclass(frozen=True)
class StageParts:
    """All parts of one stage with the same settings and inputs.

    Parameters
    ----------
    root : Path
        Of the run.
    stage : str
        Its name.
    key : str
        From `key_of`.
    """

    root: Path
    stage: str
    key: str

    @property
    def folder(self) -> Path:
        """Folder of these parts."""
        return self.root / PARTS_FOLDER / f"{self.stage}-{self.key}"

    def part(self, part: Part, claim: Mapping[str, Any]) -> PartFolder:
        """Return the folder of one part, which need not exist."""
        return PartFolder(self.folder / f"{part.number}-of-{part.of}", part, claim)

    def parts(self) -> list[PartFolder]:
        """List the parts that have a folder, in order."""
        if not self.folder.is_dir():
            return []
        matches = [(path, _NAME.fullmatch(path.name)) for path in self.folder.iterdir() if path.is_dir()]
        found = [PartFolder(path, Part(int(match[2]), int(match[1]))) for path, match in matches if match]
        return sorted(found, key=lambda each: each.part)

    def check_agreement(self, claim: Mapping[str, Any]) -> None:
        """Check that parts which are there were made as the caller would make them.

        Raises
        ------
        PipelineError
            If one was made by another version of camray, with another key for pseudonyms, or from other films.
        """
        for part in self.parts():
            stored = part.stored_claim()
            for name, words in _DISAGREEMENTS.items():
                if stored is not None and stored.get(name) != claim.get(name):
                    theirs, ours = _short(stored.get(name)), _short(claim.get(name))
                    raise PipelineError(
                        f"{part.folder}: part {part.part} of '{self.stage}' was made {words} ({theirs}) than there are "
                        f"here and now ({ours}), expected the same for all parts; use those here, or delete "
                        f"{part.folder}, and what it did is done again"
                    )


def parts_of_run(root: Path, stage: str | None = None) -> list[StageParts]:
    """List the parts in a run by stage and key, or those of one stage; folders without a part are left out."""
    try:
        names = sorted(path.name for path in (root / PARTS_FOLDER).iterdir() if path.is_dir())
    except OSError:
        return []
    found = [StageParts(root, name.rpartition("-")[0], name.rpartition("-")[2]) for name in names]
    return [each for each in found if (stage is None or each.stage == stage) and each.parts()]


def working_parts(root: Path) -> list[PartFolder]:
    """List the parts of a run that processes of this machine, or of one that shares locks with it, are doing."""
    return [part for parts in parts_of_run(root) for part in parts.parts() if part.is_working()]


def is_as_recorded(path: Path, size: int, digest: str) -> bool:
    """Return whether a file is there with this size (bytes) and digest."""
    return path.is_file() and path.stat().st_size == size and file_digest(path) == digest


def _short(value: Any) -> str:
    """Return a version or fingerprint, or of digests their first characters."""
    return " ".join(str(each)[:12] for each in value.values()) if isinstance(value, dict) else str(value)


def _record_or_none(path: Path) -> dict[str, Any] | None:
    """Read a record, or return None where it is missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    has_digest = isinstance(record, dict) and "record_sha256" in record
    return record if has_digest and is_undamaged(record) else None
