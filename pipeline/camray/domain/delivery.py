"""What passes between camray and a PACS: which object is meant, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum

from camray.domain.errors import IncompleteError


class UnreachableError(IncompleteError):
    """The other side could not be reached, or broke off: whether an object arrived is not known. Try again."""


@dataclass(frozen=True, order=True)
class ObjectKey:
    """The UIDs that name one object."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class Answer:
    """What the other side said to one object: taken or not, and its words, which name no patient."""

    is_accepted: bool
    message: str = ""


class DeliveryState(StrEnum):
    """How far one object is, at one destination."""

    NEW = "new"
    SENT = "sent"  # sending began, and no answer is known
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True)
class FilmQuery:
    """Which films are asked for. An empty word asks for all.

    Parameters
    ----------
    study_instance_uid : str
        One study.
    date : str
        Study date as ``YYYYMMDD`` or ``YYYYMMDD-YYYYMMDD``.
    modalities : tuple of str
        Of the series.
    """

    study_instance_uid: str = ""
    date: str = ""
    modalities: tuple[str, ...] = ("CR", "DX")
