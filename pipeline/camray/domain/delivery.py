"""Records of a transfer between camray and a PACS."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, order=True)
class ObjectKey:
    """The UIDs of one object."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class StoreAnswer:
    """Answer to one object that was sent; the message names no patient."""

    is_accepted: bool
    message: str = ""


class DeliveryState(StrEnum):
    """State of one object at one destination."""

    NEW = "new"
    SENT = "sent"  # sending started, no answer is known
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True)
class FilmQuery:
    """Which films to list. An empty value matches all.

    Parameters
    ----------
    study_instance_uid : str
        Restricts the list to one study.
    date : str
        Study date as ``YYYYMMDD`` or ``YYYYMMDD-YYYYMMDD``.
    modalities : tuple of str
        Of the series.
    """

    study_instance_uid: str = ""
    date: str = ""
    modalities: tuple[str, ...] = ("CR", "DX")
