"""Journal of the calls to the tracking store: append-only, with a cursor.

``mlflow/journal.jsonl`` has one call per line, with a checksum, ``mlflow/sent`` the number of processed calls, twice,
``mlflow/state.json`` the runs of the store. Files are referenced by their path below the run's root and a digest, and
not copied; only files from elsewhere, and the small files of a model, are copied into ``mlflow/files``: the settings
are written again by every command.
"""

import hashlib
import json
import logging
import shutil
import time
import uuid
import zlib
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)
FOLDER, FILES = "mlflow", "files"
ROOT = "run"  # local name of the whole run
JOURNAL, SENT, STATE, REJECTED = "journal.jsonl", "sent", "state.json", "rejected.jsonl"

SMALL_BYTES = 2**20
CHECKSUM = "crc32"  # key of an entry's line
DAMAGED = "damaged"  # call of an entry whose line cannot be read

Entry = dict[str, Any]


class Journal:
    """The journal of one run.

    Parameters
    ----------
    run_root : Path
        ``runs/<name>``; ``mlflow/`` is created in it.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """

    def __init__(self, run_root: Path) -> None:
        self.run_root = run_root
        self.folder = run_root / FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)
        self.entries: list[Entry] = self._load()
        self.state: dict[str, Any] = self._load_state()
        self.sent = self._load_sent()
        if self.sent and not self.state["runs"]:  # the state was lost
            self.start_over()

    def append(self, call: str, run: str, **payload: Any) -> Entry:
        """Record one call; from now on it counts as made.

        Parameters
        ----------
        call : str
            Kind of the call.
        run : str
            Local name of the tracked run it belongs to (``run``, ``train#1``).
        **payload
            JSON-able arguments.
        """
        numbered = {"n": len(self.entries), "call": call, "run": run}
        entry = {**numbered, "time_ms": int(time.time() * 1000), **payload}
        with (self.folder / JOURNAL).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(_with_checksum(entry), sort_keys=True) + "\n")
        self.entries.append(entry)
        return entry

    @property
    def pending(self) -> list[Entry]:
        """Calls that are not sent yet, in order."""
        return self.entries[self.sent :]

    @property
    def rejected(self) -> int:
        """Number of entries that the store refused, in total."""
        path = self.folder / REJECTED
        return len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0

    def mark_sent(self) -> None:
        """Advance the cursor by one entry."""
        self.sent += 1
        self._save_sent()

    def reject(self, entry: Entry, why: str) -> None:
        """Skip an entry that can never be sent, and record the reason."""
        with (self.folder / REJECTED).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"n": entry["n"], "call": entry["call"], "why": why}) + "\n")
        self.mark_sent()

    def remember(self, **changes: Any) -> None:
        """Update the state and save it."""
        self.state.update(changes)
        _replace(self.folder / STATE, json.dumps(self.state, indent=1, sort_keys=True) + "\n")

    def start_over(self) -> None:
        """Reset the cursor: a store without these runs receives everything from the beginning."""
        self.remember(runs={}, doubtful=max(self.sent, self._doubtful))
        (self.folder / REJECTED).unlink(missing_ok=True)
        self.sent = 0
        self._save_sent()

    def _save_sent(self) -> None:
        _replace(self.folder / SENT, f"{self.sent}, {self.sent}")

    @property
    def experiment(self) -> str:
        """Name of the MLflow experiment."""
        named = (str(entry["experiment"]) for entry in self.entries if entry.get("experiment"))
        return next(named, str(self.state.get("experiment") or self.run_root.resolve().name))

    def is_doubtful(self, entry: Entry) -> bool:
        """Return whether the store may have an entry already, because it was sent before `start_over`."""
        return bool(entry["n"] < self._doubtful)

    def reference(self, path: Path) -> dict[str, str]:
        """Return a reference to a file or folder, with a digest to detect changes.

        Returns
        -------
        dict
            ``path`` relative to the run's root, and ``digest``.
        """
        root, target = self.run_root.resolve(), path.resolve()
        digest = digest_of_path(target)
        if not target.is_relative_to(root):
            target = self._copy(target, digest)
        return {"path": target.relative_to(root).as_posix(), "digest": digest}

    def reference_to_model_file(self, path: Path) -> dict[str, str]:
        """Return a reference to a file of a model; a small one is copied, so that it can be sent again later.

        Returns
        -------
        dict
            As of `reference`, and ``as``: path below the root of the model's files.
        """
        reference = self.reference(path)
        path_in_model = reference["path"]
        if path.stat().st_size <= SMALL_BYTES:
            copied = self._copy(path.resolve(), reference["digest"])
            reference["path"] = copied.relative_to(self.run_root.resolve()).as_posix()
        return {**reference, "as": path_in_model}

    def _copy(self, target: Path, digest: str) -> Path:
        copied = self.folder / FILES / digest[:16] / target.name
        if not copied.exists():
            copied.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if target.is_dir() else shutil.copyfile)(target, copied)
        return copied.resolve()

    def find(self, reference: dict[str, str]) -> Path | None:
        """Return the path of a reference, or None if it does not exist or has changed."""
        path = self.run_root / reference["path"]
        if not path.exists() or digest_of_path(path) != reference["digest"]:
            return None
        return path

    def _load(self) -> list[Entry]:
        path = self.folder / JOURNAL
        if not path.is_file():
            return []
        lines = path.read_bytes().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):  # the process was killed while it wrote
            logger.warning("%s: dropped an incomplete line at its end", path)
            with path.open("r+b") as stream:
                stream.truncate(sum(map(len, lines[:-1])))
            lines.pop()
        entries = _entries_of(lines)
        n_damaged = sum(entry["call"] == DAMAGED for entry in entries)
        if n_damaged:
            logger.warning("%s: %d line(s) are damaged and not sent; all others are", path, n_damaged)
        return entries

    def _load_sent(self) -> int:
        path = self.folder / SENT
        try:
            numbers = [int(part) for part in path.read_bytes().split(b", ")] if path.is_file() else [0]
            if len(set(numbers)) > 1:
                raise ValueError
            return min(max(numbers[0], 0), len(self.entries))
        except ValueError:  # damaged: what was sent is unknown
            self.remember(doubtful=len(self.entries))
            return 0

    @property
    def _doubtful(self) -> int:
        value = self.state.get("doubtful", 0)
        return value if isinstance(value, int) else len(self.entries)

    def _load_state(self) -> dict[str, Any]:
        path = self.folder / STATE
        try:
            content = json.loads(path.read_bytes()) if path.is_file() else {}
        except (ValueError, RecursionError):
            content = {}
        state: dict[str, Any] = content if isinstance(content, dict) else {}
        if not isinstance(state.get("journal"), str):
            state["journal"] = next((e["journal"] for e in self.entries if "journal" in e), uuid.uuid4().hex)
        if not isinstance(state.get("runs"), dict):
            state["runs"] = {}
        return state


def _entries_of(lines: list[bytes]) -> list[Entry]:
    """Return the entries of whole lines, each at its number; a placeholder for each that is damaged."""
    entries: list[Entry] = []
    is_after_damage = False
    for line in lines:
        entry = _entry_of(line)
        if entry is None:
            is_after_damage = True
            continue
        if is_after_damage:  # a damaged byte may have joined or split lines: the number tells how many are missing
            missing = min(max(entry["n"] - len(entries), 1), len(lines))
            entries += [_placeholder(len(entries) + number) for number in range(missing)]
            is_after_damage = False
        entries.append({**entry, "n": len(entries)})
    if is_after_damage:
        entries.append(_placeholder(len(entries)))
    return entries


def _entry_of(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("n"), int):
        return None
    if entry.pop(CHECKSUM, None) not in (None, _checksum(entry)):  # None: of an earlier version
        return None
    return entry if all(isinstance(entry.get(key), str) for key in ("call", "run")) else None


def _checksum(entry: Entry) -> int:
    return zlib.crc32(json.dumps(entry, sort_keys=True).encode())


def _with_checksum(entry: Entry) -> Entry:
    plain: Entry = json.loads(json.dumps(entry))  # as it is read back
    return {**plain, CHECKSUM: _checksum(plain)}


def _placeholder(number: int) -> Entry:
    return {"n": number, "call": DAMAGED, "run": ""}


def digest_of_path(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of all files below a folder (except ``*.tmp``)."""
    total = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".tmp")
    for file in files:
        total.update(b"" if file == path else file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
