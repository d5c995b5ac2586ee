"""Journal of the calls to the tracking store: append-only, with a cursor.

``mlflow/journal.jsonl`` has one call per line, ``mlflow/sent`` the number of processed calls, ``mlflow/state.json`` the
runs of the store. Files are referenced by their path below the run's root and a digest, and not copied; only files from
elsewhere are copied into ``mlflow/files``.
"""

import hashlib
import json
import logging
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)
FOLDER, FILES = "mlflow", "files"
JOURNAL, SENT, STATE, REJECTED = "journal.jsonl", "sent", "state.json", "rejected.jsonl"

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
        self.sent = min(self._load_sent(), len(self.entries))

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
        entry = {"n": len(self.entries), "call": call, "run": run, "time_ms": int(time.time() * 1000), **payload}
        with (self.folder / JOURNAL).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry, sort_keys=True) + "\n")
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
        _replace(self.folder / SENT, str(self.sent))

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
        """Reset the cursor: another store receives everything from the beginning."""
        self.sent = 0
        _replace(self.folder / SENT, "0")
        self.remember(runs={})

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
            kept = self.folder / FILES / digest[:16] / target.name
            if not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if target.is_dir() else shutil.copyfile)(target, kept)
            target = kept.resolve()
        return {"path": target.relative_to(root).as_posix(), "digest": digest}

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
        entries: list[Entry] = []
        whole = 0
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                if not line.endswith(b"\n"):
                    break
                entries.append(json.loads(line))
            except ValueError:
                break
            whole += len(line)
        if whole < path.stat().st_size:  # the process was killed while it wrote
            logger.warning("%s: dropped an incomplete line at its end", path)
            with path.open("r+b") as stream:
                stream.truncate(whole)
        return entries

    def _load_sent(self) -> int:
        path = self.folder / SENT
        text = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        return int(text) if text.isdigit() else 0

    def _load_state(self) -> dict[str, Any]:
        path = self.folder / STATE
        try:
            content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError:
            content = {}
        state: dict[str, Any] = content if isinstance(content, dict) else {}
        state.setdefault("journal", uuid.uuid4().hex)
        state.setdefault("runs", {})
        return state


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
