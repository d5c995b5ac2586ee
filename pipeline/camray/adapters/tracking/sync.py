"""Sending of a journal: during the run, and the rest afterwards."""

import logging
import os
from pathlib import Path

from filelock import FileLock, Timeout

from camray.adapters.tracking.journal import FOLDER, JOURNAL, Entry, Journal
from camray.adapters.tracking.sender import Sender
from camray.adapters.tracking.store import TRACKING_VARIABLE, store_uri
from camray.domain.errors import IncompleteError, SettingsError
from camray.domain.uris import HIDDEN, without_secrets

logger = logging.getLogger(__name__)


def drain(journal: Journal, sender: Sender, in_doubt: bool) -> Exception | None:
    """Send the pending calls in order, until all are sent or the store fails.

    Returns
    -------
    Exception or None
        The error that stopped it. Entries that the store refuses permanently are skipped. A store that has lost the
        runs of the journal receives everything again.
    """
    may_recover = True
    while journal.pending:
        entry = journal.pending[0]
        try:
            sender.send(entry, in_doubt or journal.is_doubtful(entry))
        except Exception as error:  # noqa: BLE001 - no failure of MLflow, its transports or its stores may end a run
            if not sender.is_final(error):
                return error
            if may_recover:
                may_recover = False
                try:
                    if sender.recover(entry["run"]):
                        continue
                except Exception as unreachable:  # noqa: BLE001 - as above
                    return unreachable
            logger.warning("MLflow refused '%s' of '%s': %s", entry["call"], entry["run"], brief(error))
            journal.reject(entry, brief(error))
        else:
            journal.mark_sent()
        in_doubt = False
    return None


def has_journal(run_root: Path) -> bool:
    """Return whether a run has a tracking journal."""
    return (run_root / FOLDER / JOURNAL).is_file()


def sync(run_root: Path) -> dict[str, int]:
    """Send the pending calls of a run's journal.

    Parameters
    ----------
    run_root : Path
        ``runs/<name>``.

    Returns
    -------
    dict
        Numbers of calls ``sent``, ``rejected`` and still ``pending``.

    Raises
    ------
    SettingsError
        If the run has no journal, or its store needs a password that is not given.
    IncompleteError
        If another process is writing the journal, or the store cannot be reached.
    """
    if not has_journal(run_root):
        raise SettingsError(f"{run_root}: no tracking journal; name a run folder, for instance runs/phantom")
    lock = FileLock(run_root / FOLDER / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise IncompleteError(
            f"{run_root}: the run is in progress and sends its own calls; wait for its end"
        ) from error
    try:
        journal = Journal(run_root)
        store_folder = (run_root / journal.state.get("store_folder", "..")).resolve()
        sender = Sender(store_uri(_stored_uri(journal), store_folder), store_folder, journal)
        return _sync(journal, sender)
    finally:
        lock.release()


def _stored_uri(journal: Journal) -> str | None:
    """Return the URI of the store; its secrets are not in the journal, but in the environment."""
    stored, given = journal.state.get("uri"), os.environ.get(TRACKING_VARIABLE)
    if given and stored == without_secrets(given):
        return given
    if stored is not None and HIDDEN in stored:
        raise SettingsError(
            f"{journal.run_root}: its store {stored} needs a password, which is not stored; set {TRACKING_VARIABLE} to "
            "the whole URI and sync again"
        )
    return stored


def _sync(journal: Journal, sender: Sender) -> dict[str, int]:
    for run in left_open(journal.entries):  # their process was killed
        journal.append("end", run, status="KILLED")
    error = _recover(sender) if journal.sent else None
    waiting, rejected_before = len(journal.pending), journal.rejected
    error = error or drain(journal, sender, in_doubt=True)
    if error is not None:
        raise IncompleteError(
            f"{without_secrets(sender.uri)}: MLflow cannot be reached ({brief(error)}); "
            f"{len(journal.pending)} calls are pending; start the server and sync again"
        )
    rejected = journal.rejected - rejected_before
    return {"sent": waiting - rejected, "rejected": rejected, "pending": len(journal.pending)}


def _recover(sender: Sender) -> Exception | None:
    try:
        sender.recover()
    except Exception as error:  # noqa: BLE001 - as in `drain`
        return error
    return None


def left_open(entries: list[Entry]) -> list[str]:
    """Return the runs that were started and not ended, innermost first."""
    running: list[str] = []
    for entry in entries:
        if entry["call"] in {"start", "resume"}:
            running = [*[run for run in running if run != entry["run"]], entry["run"]]
        elif entry["call"] == "end" and entry["run"] in running:
            running.remove(entry["run"])
    return running[::-1]


def brief(error: Exception) -> str:
    """Return an error in one line, without secrets."""
    text = without_secrets(str(error))
    return f"{type(error).__name__}: {text.splitlines()[0][:200] if text else ''}"
