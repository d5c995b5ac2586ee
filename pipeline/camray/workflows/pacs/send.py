"""Delivery of a run's DICOM objects to a PACS, each exactly once.

Reads   ``export/dicom/*.dcm``
Writes  ``delivered.sqlite`` in the run's root, and the objects in the PACS
Run     ``camray export configs/phantom.yaml --formats sr,gsps --to dicomweb https://pacs.example/dicom-web``
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydicom import dcmread

from camray.adapters.ledgers.delivery_log import DeliveryLog
from camray.adapters.progress import progress
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.delivery import DeliveryState, ObjectKey, StoreAnswer
from camray.domain.errors import ExportError, UnreachableError
from camray.io.artifacts import artifacts_of
from camray.workflows.pacs.retry import RetryPolicy


class Destination(Protocol):
    """A PACS that stores objects. Both methods raise `PeerError`: `UnreachableError` if no complete answer arrived."""

    @property
    def address(self) -> str:
        """Return the address, without secrets."""

    def send(self, path: Path) -> StoreAnswer:
        """Store one object."""

    def has(self, key: ObjectKey) -> bool:
        """Return whether the object is there."""


@dataclass
class Delivered:
    """Outcome of a delivery.

    Parameters
    ----------
    address : str
        Destination.
    accepted, already, unreached : int
        Objects accepted now, accepted before, and not delivered because the connection failed.
    refused : dict
        File name to the reason.
    fault : str
        Why the connection failed; empty if it did not.
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
            "destination": self.address,
            "accepted": self.accepted,
            "already_there": self.already,
            "refused": len(self.refused),
            "reasons": self.reasons,
            "unreached": self.unreached,
            "fault": self.fault,
        }


def objects_of(folder: RunFolder) -> list[Path]:
    """List the objects that a run exported.

    Raises
    ------
    ExportError
        If there are none.
    """
    files = artifacts_of(folder).export.dicom_objects()
    if not files:
        raise ExportError(f"{folder.root}: no DICOM objects; export some with --formats sr,gsps,sc")
    return files


def studies_of(folder: RunFolder) -> list[str]:
    """Return the studies that a run's objects belong to, sorted; empty where none were exported."""
    files = artifacts_of(folder).export.dicom_objects()
    tag = "StudyInstanceUID"
    return sorted({str(dcmread(path, stop_before_pixels=True, specific_tags=[tag]).get(tag)) for path in files})


def deliver(files: Sequence[Path], destination: Destination, log: DeliveryLog, retry: RetryPolicy) -> Delivered:
    """Deliver objects, each exactly once.

    Parameters
    ----------
    files : sequence of Path
        DICOM files.
    destination : Destination
        PACS.
    log : DeliveryLog
        Earlier deliveries; written before and after each object is sent.
    retry : RetryPolicy
        Attempts for one object; if the last one fails, the remaining objects are left for the next call.

    Returns
    -------
    Delivered
        The next call sends refused objects again, and accepted ones never.

    Raises
    ------
    AuthenticationError
        If the PACS rejects the credentials: no further object is sent.
    """
    done = Delivered(destination.address)
    for number, path in enumerate(progress(files, len(files), "delivering")):
        head = dcmread(path, stop_before_pixels=True)
        key = ObjectKey(str(head.StudyInstanceUID), str(head.SeriesInstanceUID), str(head.SOPInstanceUID))
        try:
            answer = _deliver_object(path, key, destination, log, retry)
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


def _deliver_object(
    path: Path, key: ObjectKey, destination: Destination, log: DeliveryLog, retry: RetryPolicy
) -> StoreAnswer | None:
    """Return the answer to one object, or None if it was accepted before."""
    object_at = (destination.address, key.sop_instance_uid, file_digest(path))
    if log.state(*object_at) is DeliveryState.ACCEPTED:
        return None

    def attempt() -> StoreAnswer:
        if log.state(*object_at) is DeliveryState.SENT and destination.has(key):
            return StoreAnswer(True, "arrived before the connection was interrupted")
        log.mark(*object_at, DeliveryState.SENT)
        return destination.send(path)

    answer = retry.call(attempt)
    log.mark(*object_at, DeliveryState.ACCEPTED if answer.is_accepted else DeliveryState.REFUSED, answer.message)
    return answer
