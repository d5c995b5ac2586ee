"""Decisions of readers from the marks of structured reports.

Viewers change tracking UIDs and round coordinates, so a mark is known by its film, its words and codes, and only where
it has none by its overlap with what the AI drew there. A report that covers a film answers for every finding on it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from camray.core.reader_study.agreement_table import Claim
from camray.core.reader_study.finding_names import FindingNames
from camray.domain.geometry import Box, iou
from camray.domain.labels import Finding
from camray.domain.reader_decisions import (
    Decision,
    DecisionsRead,
    MarkedReport,
    Problem,
    Reading,
    Unread,
    Verdict,
)

SAME_PX = 1 / 64  # objects hold corners to 1/512 px, viewers add the noise of 32 bits
SAME_IOU = 0.5  # from which a mark without words is taken for the AI's finding that it covers
Key = tuple[str, str]  # image_id, label


@dataclass
class _Gathered:
    source: str
    decisions: list[Decision] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def decisions_of(
    reports: Sequence[MarkedReport],
    findings: Sequence[Finding],
    claims: Mapping[Key, Claim],
    source: str,
    reader: str = "",
) -> DecisionsRead:
    """Read what readers decided from the reports they left.

    Parameters
    ----------
    reports : sequence of MarkedReport
        Of any number of readers and films.
    findings : sequence of Finding
        The run's, with codes.
    claims : mapping of (image_id, label) to Claim
        The AI's answers, boxes as the run has them.
    source : str
        File or folder that the reports are from.
    reader : str
        Who read; else the person whom a report names, else the stem of `source`. Several reports on one film that name
        nobody are readers of their own: "(unnamed 2)" and so on, by time.

    Returns
    -------
    DecisionsRead
        One reading for each reader and film that a report covers, and for each of its findings a decision:

        - marked: present. ``confirm`` if the boxes are the AI's (which are then given unrounded), else ``adjust``;
        - the AI's boxes are gone: ``reject``, explicit if the report says that it replaces another;
        - the AI reported it without any box: a viewer shows nothing of it, so nothing was decided: a problem;
        - marked without area alone, such as by a length: neither present nor absent, so nothing was decided: a problem;
        - else absent, not explicitly.

        Reports by camray alone, earlier reports of the same reader on the same film, marks without area and marks that
        name no finding of the run are no decisions: each is a problem, and the last kind is kept as ``unread``.
    """
    gathered = _Gathered(source)
    own = [report for report in reports if report.is_own]
    if own:
        what = f"{len(own)} of its reports are camray's own, not edited by a reader; left out"
        gathered.problems.append(Problem(source, what))
    latest = _latest(reports, reader, gathered)
    names = FindingNames(findings)
    for (who, image_id), report in sorted(latest.items()):
        gathered.readings.append(Reading(who, image_id, is_finished=True, changed=report.changed))
        gathered.decisions += _film_decisions(who, image_id, report, names, claims, gathered)
    for report in {id(report): report for report in latest.values()}.values():
        _tell_of_marks_without_film(report, reader, gathered)
    return DecisionsRead(
        source,
        "sr",
        "",
        tuple(gathered.decisions),
        tuple(gathered.readings),
        tuple(gathered.problems),
        tuple(gathered.unread),
    )


def _latest(reports: Sequence[MarkedReport], reader: str, gathered: _Gathered) -> dict[tuple[str, str], MarkedReport]:
    """Return the report that counts for each reader and film; reports that name nobody are never merged."""
    latest: dict[tuple[str, str], MarkedReport] = {}
    unnamed: dict[str, int] = {}
    for report in _edited(reports, gathered):
        named = reader or report.observer
        stem = gathered.source.rsplit(".", 1)[0]
        if not report.films:
            what = "a report that refers to no image; left out"
            gathered.problems.append(Problem(report.source, what, named or stem))
        for image_id in report.films:
            who = named or stem
            if not named:
                unnamed[image_id] = unnamed.get(image_id, 0) + 1
                if unnamed[image_id] > 1:
                    who = f"{stem} (unnamed {unnamed[image_id]})"
                    what = "names no reader, like an earlier report on this film; kept as another reader"
                    gathered.problems.append(Problem(report.source, what, who, image_id))
            if (who, image_id) in latest:
                what = f"replaced by a later report of the same reader ({report.source}); left out"
                gathered.problems.append(Problem(latest[who, image_id].source, what, who, image_id))
            latest[who, image_id] = report
    return latest


def _edited(reports: Sequence[MarkedReport], gathered: _Gathered) -> list[MarkedReport]:
    """Return the readers' reports by time, each once; others of the same UID that say something else are kept too."""
    kept: dict[MarkedReport, MarkedReport] = {}  # by content
    uids: set[str] = set()
    for report in sorted(reports, key=lambda report: (report.changed, report.source)):
        content = replace(report, source="" if report.uid else report.source)
        if report.is_own or content in kept:
            continue
        if report.uid in uids:
            what = "has the UID of another report, but other content; kept as a report of its own"
            gathered.problems.append(Problem(report.source, what, report.observer))
        kept[content] = report
        uids |= {report.uid} - {""}
    return list(kept.values())


@dataclass
class _Marked:
    """What a report says of one finding on one film."""

    boxes: list[Box] = field(default_factory=list)
    is_present: bool | None = None
    is_unclear: bool = False  # a mark without area, such as a length
    comments: list[str] = field(default_factory=list)


def _film_decisions(
    who: str, image_id: str, report: MarkedReport, names: FindingNames, claims: Mapping[Key, Claim], gathered: _Gathered
) -> Iterator[Decision]:
    """Yield a film's decisions, one for each finding that was judged."""
    by_label = _marked(who, image_id, report, names, claims, gathered)
    for label in names.labels:
        claim, marked = claims.get((image_id, label), Claim(False)), by_label.get(label, _Marked())
        if marked.is_unclear and not marked.boxes and marked.is_present is None:
            continue
        if claim.reported and not claim.boxes and not marked.boxes and marked.is_present is None:
            what = "reported by the AI without a box, so a viewer has nothing to show or edit; not judged"
            gathered.problems.append(Problem(report.source, what, who, image_id, label))
            continue
        value, boxes, verdict, is_explicit = _judged(marked, claim, report)
        comment = "; ".join(dict.fromkeys(marked.comments))
        yield Decision(
            who,
            image_id,
            label,
            value,
            boxes,
            verdict=verdict,
            is_explicit=is_explicit,
            comment=comment,
            changed=report.changed,
        )


def _judged(marked: _Marked, claim: Claim, report: MarkedReport) -> tuple[str, tuple[Box, ...], Verdict | None, bool]:
    """Return value, boxes, verdict, and whether the reader said so."""
    if marked.boxes:
        drawn = _as_claimed(marked.boxes, claim.boxes)
        if claim.reported and sorted(drawn) == sorted(claim.boxes):
            return "1", claim.boxes, Verdict.CONFIRM, True
        return "1", tuple(drawn), Verdict.ADJUST, True
    if marked.is_present:
        return "1", (), Verdict.CONFIRM if claim.reported and not claim.boxes else Verdict.ADJUST, True
    if marked.is_present is False or (claim.reported and report.has_predecessor):
        return "0", (), Verdict.REJECT if claim.reported else Verdict.CONFIRM, True
    return "0", (), None, False


def _marked(
    who: str, image_id: str, report: MarkedReport, names: FindingNames, claims: Mapping[Key, Claim], gathered: _Gathered
) -> dict[str, _Marked]:
    """Gather a film's marks by finding; marks of no finding are reported and kept."""
    by_label: dict[str, _Marked] = {}
    where = (report.source, who, image_id)
    for mark in report.marks:
        if mark.image_id != image_id or (
            mark.shape == "" and mark.by_algorithm
        ):  # the latter is the AI's own statement
            continue
        label, rest = names.label(mark)
        if label is None and mark.box is not None and not rest:
            label = _by_overlap(mark.box, image_id, claims, where, gathered)
        if label is None:
            gathered.unread.append(Unread(*where, " | ".join(rest), mark.box))
            what = "a mark that names no finding of this run; left out (its text is in unread.csv)"
            gathered.problems.append(_problem_at(where, what))
            continue
        marked = by_label.setdefault(label, _Marked())
        if mark.shape == "line":
            what = "a mark without area, such as a length; left out, and where it is the only one, nothing is judged"
            gathered.problems.append(_problem_at(where, what, label))
            marked.is_unclear = True
            continue
        if mark.box is not None:
            marked.boxes.append(mark.box)
        elif mark.shape == "point":
            marked.is_present = True
        elif mark.is_present is not None:
            marked.is_present = bool(marked.is_present) or mark.is_present
        marked.comments += rest
    return by_label


def _problem_at(where: tuple[str, str, str], what: str, label: str = "") -> Problem:
    source, who, image_id = where
    return Problem(source, what, who, image_id, label)


def _by_overlap(
    box: Box, image_id: str, claims: Mapping[Key, Claim], where: tuple[str, str, str], gathered: _Gathered
) -> str | None:
    """Return the one finding whose box a mark without words covers."""
    covered = {
        label
        for (film, label), claim in claims.items()
        if film == image_id and any(iou(box, each) >= SAME_IOU for each in claim.boxes)
    }
    if len(covered) != 1:
        return None
    (label,) = covered
    what = f"a mark without text, taken for this finding because it covers the AI's box (IoU {SAME_IOU:g} or more)"
    gathered.problems.append(_problem_at(where, what, label))
    return label


def _as_claimed(drawn: Sequence[Box], claimed: Sequence[Box]) -> list[Box]:
    """Return boxes with those that were left as they were as the run has them; the same box twice counts once."""
    kept: list[Box] = []
    for box in drawn:
        same = [claimed_box for claimed_box in claimed if _is_same(box, claimed_box)]
        adopted = same[0] if same else box
        if adopted not in kept:
            kept.append(adopted)
    return kept


def _is_same(first: Box, second: Box) -> bool:
    return all(abs(a - b) <= SAME_PX for a, b in zip(first.as_tuple(), second.as_tuple(), strict=True))


def _tell_of_marks_without_film(report: MarkedReport, reader: str, gathered: _Gathered) -> None:
    for mark in report.marks:
        if not mark.image_id and mark.shape:
            who = reader or report.observer
            gathered.unread.append(Unread(report.source, who, "", " | ".join(mark.texts), mark.box))
            gathered.problems.append(Problem(report.source, "a mark that refers to no named image; left out", who))
