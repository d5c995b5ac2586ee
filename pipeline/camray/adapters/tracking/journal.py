"""What was and is to be told to the tracking store: an append-only journal and a cursor.

``mlflow/journal.jsonl`` holds one call a line, ``mlflow/sent`` how many of them are dealt with, ``mlflow/state.json``
which runs of the store they became. Files are named by their place below the run's root, with a digest, and never
copied; only what lies elsewhere is copied into ``mlflow/files``.
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
FOLDER, JOURNAL, SENT, STATE, REJECTED, FILES = (
    "mlflow", "journal.jsonl", "sent", "state.json", "rejected.jsonl", "files",
)  # fmt: skip

Entry = dict[str, Any]


class Journal:
    """The journal of one run.

    Parameters
    ----------
    run_root : Path
        ``runs/<name>``; ``mlflow/`` is made in it.

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
        """Write one call down; it counts as made from here on.

        Parameters
        ----------
        call : str
            What to do.
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
        """Calls that are still to be sent, in order."""
        return self.entries[self.sent :]

    @property
    def rejected(self) -> int:
        """How many entries were put aside, ever."""
        path = self.folder / REJECTED
        return len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0

    def mark_sent(self) -> None:
        """Move the cursor over one entry."""
        self.sent += 1
        _replace(self.folder / SENT, str(self.sent))

    def reject(self, entry: Entry, why: str) -> None:
        """Move the cursor over an entry that can never be sent, and keep the reason beside it."""
        with (self.folder / REJECTED).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"n": entry["n"], "call": entry["call"], "why": why}) + "\n")
        self.mark_sent()

    def remember(self, **changes: Any) -> None:
        """Change the state and save it."""
        self.state.update(changes)
        _replace(self.folder / STATE, json.dumps(self.state, indent=1, sort_keys=True) + "\n")

    def start_over(self) -> None:
        """Forget what was sent: another store gets everything from the beginning."""
        self.sent = 0
        _replace(self.folder / SENT, "0")
        self.remember(runs={})

    def reference(self, path: Path) -> dict[str, str]:
        """Name a file or folder so that it is found again, and known to be unchanged.

        Returns
        -------
        dict
            ``path`` relative to the run's root, and ``digest``.
        """
        root, found = self.run_root.resolve(), path.resolve()
        digest = digest_of_path(found)
        if not found.is_relative_to(root):
            kept = self.folder / FILES / digest[:16] / found.name
            if not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if found.is_dir() else shutil.copyfile)(found, kept)
            found = kept.resolve()
        return {"path": found.relative_to(root).as_posix(), "digest": digest}

    def find(self, reference: dict[str, str]) -> Path | None:
        """Return what a reference names, or None if it is gone or no longer the same."""
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
            logger.warning("%s: dropped a torn line at its end", path)
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
            found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError:
            found = {}
        state: dict[str, Any] = found if isinstance(found, dict) else {}
        state.setdefault("journal", uuid.uuid4().hex)
        state.setdefault("runs", {})
        return state


def digest_of_path(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of all files below a folder (``*.tmp`` left out)."""
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
