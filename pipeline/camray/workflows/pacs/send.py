"""Objects of a run to a PACS: each exactly once, whatever breaks in between.

Reads   ``export/dicom/*.dcm``
Writes  ``delivered.sqlite`` in the run's root, and whatever the other side keeps
Run     ``camray export configs/phantom.yaml --formats sr,gsps --to dicomweb https://pacs.example/dicom-web``
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydicom import dcmread

from camray.adapters.ledgers.delivery_log import DeliveryLog
from camray.adapters.pacs.ae_address import parse_peer
from camray.adapters.pacs.credentials import Access
from camray.adapters.pacs.dicomweb import DicomWeb
from camray.adapters.pacs.dimse import Dimse
from camray.adapters.progress import progress
from camray.adapters.run_folder import RunFolder, file_digest
from camray.domain.delivery import Answer, DeliveryState, ObjectKey, UnreachableError
from camray.domain.errors import ExportError, SettingsError

LEDGER = "delivered.sqlite"
ATTEMPTS, FIRST_WAIT_S, LONGEST_WAIT_S = 6, 1.0, 60.0


class Destination(Protocol):
    """Where objects go. `send` and `has` raise UnreachableError where no answer came."""

    @property
    def address(self) -> str:
        """Return the address, without secrets."""

    def send(self, path: Path) -> Answer:
        """Store one object."""

    def has(self, key: ObjectKey) -> bool:
        """Tell whether it is there."""


@dataclass(frozen=True)
class Patience:
    """How often one object is tried, and how long to wait in between: doubling from the first to the longest wait."""

    attempts: int = ATTEMPTS
    first_wait_s: float = FIRST_WAIT_S
    longest_wait_s: float = LONGEST_WAIT_S

    def wait_s(self, attempt: int) -> float:
        """Return the seconds to wait after the attempt of this number, from 1."""
        return float(min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1)))


@dataclass
class Delivered:
    """What became of the objects.

    Parameters
    ----------
    address : str
        Destination.
    accepted, already, unreached : int
        Taken now, taken before, and not delivered because the connection failed.
    refused : dict
        File name to the reason.
    """

    address: str
    accepted: int = 0
    already: int = 0
    unreached: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def reasons(self) -> dict[str, int]:
        """Count the refusals by reason."""
        return dict(Counter(self.refused.values()))

    def as_json(self) -> dict[str, Any]:
        """Return a JSON-able mapping."""
        return {
            "destination": self.address, "accepted": self.accepted, "already_there": self.already,
            "refused": len(self.refused), "reasons": self.reasons, "unreached": self.unreached, "fault": self.fault,
        }  # fmt: skip


def objects_of(folder: RunFolder) -> list[Path]:
    """List the objects that a run exported.

    Raises
    ------
    ExportError
        If there are none.
    """
    files = sorted((folder.root / "export" / "dicom").glob("*.dcm"))
    if not files:
        raise ExportError(f"{folder.root}: no DICOM objects; export some with --formats sr,gsps,sc")
    return files


def studies_of(folder: RunFolder) -> list[str]:
    """Return the studies that a run's objects belong to, sorted; empty where none were exported."""
    files = sorted((folder.root / "export" / "dicom").glob("*.dcm"))
    tag = "StudyInstanceUID"
    return sorted({str(dcmread(path, stop_before_pixels=True, specific_tags=[tag]).get(tag)) for path in files})


def open_destination(
    how: str,
    address: str,
    access: Access,
    files: Sequence[Path] = (),
    calling_aet: str = "CAMRAY",
    listen_port: int | None = None,
) -> AbstractContextManager[Any]:
    """Open a destination or source.

    Parameters
    ----------
    how : {'dicomweb', 'dimse'}
        Protocol.
    address : str
        URL, or ``AET@host:port``.
    access : Access
        Certificates and secrets.
    files : sequence of Path
        What is going to be sent.
    calling_aet : str
        What we call ourselves (DIMSE).
    listen_port : int or None
        Fetch by C-MOVE to this port of ours (DIMSE); None fetches by C-GET.

    Raises
    ------
    SettingsError
        If there is no such protocol, or the address is none.
    """
    if how == "dicomweb":
        if listen_port is not None:
            raise SettingsError("--listen is for C-MOVE: it goes with dimse AET@host:port, not with dicomweb")
        return DicomWeb(address, access)
    if how == "dimse":
        return Dimse(parse_peer(address, calling_aet), access, files, listen_port)
    raise SettingsError(f"'{how}': expected dicomweb URL, or dimse AET@host:port")


def deliver(
    files: Sequence[Path],
    destination: Destination,
    ledger: DeliveryLog,
    patience: Patience,
    wait: Callable[[float], None],
) -> Delivered:
    """Deliver objects, each exactly once.

    Parameters
    ----------
    files : sequence of Path
        DICOM files.
    destination : Destination
        Where to.
    ledger : DeliveryLog
        What is known from before; written to before and after each sending.
    patience : Patience
        Tries for one object; when they are used up the rest stays for the next time.
    wait : callable
        Sleeps for so many seconds.

    Returns
    -------
    Delivered
        Refused objects are tried again the next time; accepted ones never.
    """
    done = Delivered(destination.address)
    for number, path in enumerate(progress(files, len(files), "delivering")):
        head = dcmread(path, stop_before_pixels=True)
        key = ObjectKey(str(head.StudyInstanceUID), str(head.SeriesInstanceUID), str(head.SOPInstanceUID))
        try:
            answer = _deliver_one(path, key, destination, ledger, patience, wait)
        except UnreachableError as error:
            done.unreached, done.fault = len(files) - number, str(error)
            return done
        if answer is None:
            done.already += 1
        elif answer.is_accepted:
            done.accepted += 1
        else:
            done.refused[path.name] = answer.message
    return done


def _deliver_one(
    path: Path, key: ObjectKey, destination: Destination, ledger: DeliveryLog, patience: Patience,
    wait: Callable[[float], None],
) -> Answer | None:  # fmt: skip
    """Return the answer to one object, or None where it was taken before."""
    where, uid, digest = destination.address, key.sop_instance_uid, file_digest(path)
    state = ledger.state(where, uid, digest)
    if state is DeliveryState.ACCEPTED:
        return None
    for attempt in range(1, patience.attempts + 1):
        try:
            if state is DeliveryState.SENT and destination.has(key):  # it arrived, its answer did not
                answer = Answer(True, "arrived before the connection broke")
            else:
                ledger.mark(where, uid, digest, DeliveryState.SENT)
                state = DeliveryState.SENT
                answer = destination.send(path)
        except UnreachableError:
            if attempt == patience.attempts:
                raise
            wait(patience.wait_s(attempt))
            continue
        ended = DeliveryState.ACCEPTED if answer.is_accepted else DeliveryState.REFUSED
        ledger.mark(where, uid, digest, ended, answer.message)
        return answer
    raise UnreachableError(f"{where}: no attempt is allowed")
