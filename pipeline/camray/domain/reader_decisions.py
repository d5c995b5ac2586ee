"""Decisions of readers, whatever their file format (review page, COCO, Label Studio, SR)."""

from dataclasses import dataclass, field
from enum import StrEnum

from camray.domain.geometry import Box
from camray.domain.records import LABEL_VALUES


class Verdict(StrEnum):
    """A reader's verdict on the AI's result for one finding."""

    CONFIRM = "confirm"  # correct: present with these boxes, or absent
    ADJUST = "adjust"  # present, with the reader's own boxes; also if the AI missed it
    REJECT = "reject"  # absent, although the AI reports it
    UNCERTAIN = "uncertain"


class Phase(StrEnum):
    """When a reader decided."""

    BLIND = "blind"  # before AI output was displayed
    FINAL = "final"  # with AI output displayed, or if the format does not say


@dataclass(frozen=True)
class Shown:
    """What a reader had seen of a film when a decision was made; None if that is not known.

    Parameters
    ----------
    ai : bool or None
        The network's boxes and probabilities.
    annotations : bool or None
        The annotations of the data set (the answer key).

    Raises
    ------
    ValueError
        If a value is none of True, False, None.
    """

    ai: bool | None = None
    annotations: bool | None = None

    def __post_init__(self) -> None:
        for name in ("ai", "annotations"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, bool):
                raise ValueError(f"'{name}' says whether it was shown: true, false or null (not known), got {value!r}")


@dataclass(frozen=True)
class Decision:
    """One reader's decision about one finding on one film.

    Parameters
    ----------
    reader : str
        Name or pseudonym; not empty.
    image_id, label : str
        As in the run.
    value : str
        ``1`` present, ``0`` absent, ``uncertain``.
    boxes : tuple of Box
        The reader's boxes (confirmed ones included), native px; empty unless present.
    phase : Phase
        When.
    verdict : Verdict or None
        None if the format has no verdicts.
    is_explicit : bool
        False if the finding is absent because the reader finished the film without naming it.
    comment : str
        Free text of the reader.
    changed : str
        Time of the last change, ISO 8601 UTC; empty if unknown.
    shown : Shown
        What the reader had seen by then.

    Raises
    ------
    ValueError
        If the reader has no name, the value is invalid, an absent finding has boxes, or a blind decision was made with
        the AI's result shown.
    """

    reader: str
    image_id: str
    label: str
    value: str
    boxes: tuple[Box, ...] = ()
    phase: Phase = Phase.FINAL
    verdict: Verdict | None = None
    is_explicit: bool = True
    comment: str = ""
    changed: str = ""
    shown: Shown = Shown()

    def __post_init__(self) -> None:
        if not self.reader or self.value not in LABEL_VALUES:
            raise ValueError(f"a decision needs a reader and a value of {', '.join(LABEL_VALUES)}, got {self.value!r}")
        if self.boxes and self.value == "0":
            raise ValueError("a finding that is absent has boxes")
        if self.phase is Phase.BLIND and self.shown.ai:
            raise ValueError("a blind answer says that the AI's result was shown")


@dataclass(frozen=True)
class Reading:
    """One reader's time with one film.

    Parameters
    ----------
    reader, image_id : str
        As in `Decision`.
    is_finished : bool
        Whether the reader marked the film as finished; only finished films count as read.
    seconds, blind_seconds : float or None
        Time with the film displayed, and the part of it before AI output was displayed; None if unknown.
    changed : str
        As in `Decision`.
    """

    reader: str
    image_id: str
    is_finished: bool
    seconds: float | None = None
    blind_seconds: float | None = None
    changed: str = ""


@dataclass(frozen=True)
class Problem:
    """A problem in a file of decisions.

    Parameters
    ----------
    source : str
        File name.
    what : str
        What is wrong, and how it was handled.
    reader, image_id, label : str
        Where; empty for the whole file.
    """

    source: str
    what: str
    reader: str = ""
    image_id: str = ""
    label: str = ""


@dataclass(frozen=True)
class Unread:
    """A mark of no finding of the run. Its `text` is free text, which stays in the run folder."""

    source: str
    reader: str
    image_id: str
    text: str
    box: Box | None = None


@dataclass(frozen=True)
class ReportMark:
    """One measurement group of a structured report.

    Parameters
    ----------
    image_id : str
        SOP Instance UID of the film.
    shape : str
        ``area`` (closed; `box` encloses it), ``point``, ``line``, or empty for a group without a region.
    box : Box or None
        Native px, only for ``area``.
    codes : tuple of (value, scheme)
        Of its finding.
    texts : tuple of str
        All texts that may name the finding: code meanings, free text, comments. Without repetition.
    identifier : str
        Tracking identifier.
    is_present : bool or None
        Presence of the finding, if the group states it.
    by_algorithm : bool
        Whether the group names an algorithm.
    """

    image_id: str
    shape: str
    box: Box | None
    codes: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()
    identifier: str = ""
    is_present: bool | None = None
    by_algorithm: bool = False


@dataclass(frozen=True)
class MarkedReport:
    """A structured report with measurements.

    Parameters
    ----------
    source : str
        File name.
    uid : str
        SOPInstanceUID.
    observer : str
        Person observer; empty if none is named.
    changed : str
        Date and time of the content, ISO 8601, as far as known.
    is_own : bool
        Whether camray wrote it and nobody edited it.
    has_predecessor : bool
        Whether it replaces an earlier report, as edited ones do.
    films : tuple of str
        SOP Instance UIDs of the referenced images.
    marks : tuple of ReportMark
        One per measurement group.
    """

    source: str
    uid: str
    observer: str
    changed: str
    is_own: bool
    has_predecessor: bool
    films: tuple[str, ...]
    marks: tuple[ReportMark, ...]


@dataclass(frozen=True)
class DecisionsRead:
    """Content of one file or folder of decisions.

    Parameters
    ----------
    source : str
        File name.
    form : str
        ``page``, ``coco``, ``label_studio`` or ``sr``.
    run_digest : str
        Of the run that the reader saw; empty if the format does not say.
    decisions : tuple of Decision
        At most one per reader, film, label and phase.
    readings : tuple of Reading
        At most one per reader and film.
    problems : tuple of Problem
        Everything that could not be used.
    unread : tuple of Unread
        Marks of no finding, unchanged.
    """

    source: str
    form: str
    run_digest: str = ""
    decisions: tuple[Decision, ...] = ()
    readings: tuple[Reading, ...] = ()
    problems: tuple[Problem, ...] = field(default=())
    unread: tuple[Unread, ...] = field(default=())
