"""What readers decide on films: the records that every form (page, COCO, Label Studio, SR) is read into."""

from dataclasses import dataclass, field
from enum import StrEnum

from camray.domain.geometry import Box
from camray.domain.records import LABEL_VALUES


class Verdict(StrEnum):
    """What a reader says of the AI's answer to one finding."""

    CONFIRM = "confirm"  # right as it is: present with these boxes, or absent
    ADJUST = "adjust"  # present, with the reader's own boxes; also where the AI missed it
    REJECT = "reject"  # absent, though the AI reports it
    UNCERTAIN = "uncertain"


class Phase(StrEnum):
    """When a reader answered."""

    BLIND = "blind"  # before the AI was shown
    FINAL = "final"  # with the AI in sight, or where the form does not say


@dataclass(frozen=True)
class Decision:
    """One reader's answer to one finding on one film.

    Parameters
    ----------
    reader : str
        Name or pseudonym; not empty.
    image_id, label : str
        As the run names them.
    value : str
        ``1`` present, ``0`` absent, ``uncertain``.
    boxes : tuple of Box
        The reader's boxes (confirmed ones included), native px; empty unless present.
    phase : Phase
        When.
    verdict : Verdict or None
        As given; None where the form knows no verdicts.
    is_explicit : bool
        False where absence follows from a film that was finished without naming the finding.
    comment : str
        The reader's words.
    changed : str
        Time of the last change, ISO 8601 UTC; empty where unknown.

    Raises
    ------
    ValueError
        If the reader is nameless, the value is not legal, or boxes stand on a finding that is not present.
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

    def __post_init__(self) -> None:
        if not self.reader or self.value not in LABEL_VALUES:
            raise ValueError(f"a decision needs a reader and a value of {', '.join(LABEL_VALUES)}, got {self.value!r}")
        if self.boxes and self.value == "0":
            raise ValueError("a finding that is absent has boxes")


@dataclass(frozen=True)
class Reading:
    """One reader's time with one film.

    Parameters
    ----------
    reader, image_id : str
        As in `Decision`.
    is_finished : bool
        The reader said so; only finished films count as read.
    seconds, blind_seconds : float or None
        Time in sight of the film, and the part of it before the AI was shown; None where unknown.
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
    """Something in a decisions file that was not, or not simply, used.

    Parameters
    ----------
    source : str
        File name.
    what : str
        What was found, and what became of it.
    reader, image_id, label : str
        Where; empty where it concerns the whole file.
    """

    source: str
    what: str
    reader: str = ""
    image_id: str = ""
    label: str = ""


@dataclass(frozen=True)
class Unread:
    """A mark that stands for no finding of the run. Its words are free text: they stay in the run's folder."""

    source: str
    reader: str
    image_id: str
    words: str
    box: Box | None = None


@dataclass(frozen=True)
class ReportMark:
    """One measurement group of a structured report.

    Parameters
    ----------
    image_id : str
        SOPInstanceUID of the film it lies on.
    shape : str
        ``area`` (something closed: `box` is around it), ``point``, ``line``, or empty: the group has no region.
    box : Box or None
        Native px, for ``area`` alone.
    codes : tuple of (value, scheme)
        Of its finding.
    words : tuple of str
        All that may name the finding: meanings of codes, free text, comments. Without repetition.
    identifier : str
        Tracking identifier.
    is_present : bool or None
        What the group says of presence, if anything.
    by_algorithm : bool
        The group names an algorithm.
    """

    image_id: str
    shape: str
    box: Box | None
    codes: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()
    identifier: str = ""
    is_present: bool | None = None
    by_algorithm: bool = False


@dataclass(frozen=True)
class MarkedReport:
    """A structured report with measurements, as a viewer or a program wrote it.

    Parameters
    ----------
    source : str
        File name.
    uid : str
        SOPInstanceUID.
    observer : str
        Who observed; empty where no person is named.
    changed : str
        Date and time of the content, ISO 8601 as far as they are there.
    is_own : bool
        Written by camray, and by nobody since.
    has_predecessor : bool
        It says that it replaces an earlier report, as edited ones do.
    films : tuple of str
        SOPInstanceUIDs of the images it refers to.
    marks : tuple of ReportMark
        One for each measurement group.
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
    """What one file or folder of decisions holds.

    Parameters
    ----------
    source : str
        File name.
    form : str
        ``page``, ``coco``, ``label_studio`` or ``sr``.
    run_digest : str
        Of the run that the reader saw; empty where the form does not say.
    decisions : tuple of Decision
        At most one for each reader, film, label and phase.
    readings : tuple of Reading
        At most one for each reader and film.
    problems : tuple of Problem
        Whatever could not be used.
    unread : tuple of Unread
        Marks of reports that stand for no finding, as they were found.
    """

    source: str
    form: str
    run_digest: str = ""
    decisions: tuple[Decision, ...] = ()
    readings: tuple[Reading, ...] = ()
    problems: tuple[Problem, ...] = field(default=())
    unread: tuple[Unread, ...] = field(default=())
