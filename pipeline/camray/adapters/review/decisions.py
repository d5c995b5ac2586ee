"""Readers of decision files: the review page's JSON, COCO and Label Studio.

The page's format, ``camray-review/1``::

    {"format", "run": {"name", "digest", "method"}, "labels": [...], "reader", "exported", "films": [
      {"image_id", "finished", "opened", "changed", "seconds", "blind_seconds", "revealed", "annotations_seen",
       "finish_shown", "blind": null | {label: {"value": "1" | "0" | "uncertain", "boxes": [[x0, y0, x1, y1], ...],
                                                "shown"}},
       "findings": {label: {"verdict": confirm | adjust | reject | uncertain | null, "value", "boxes": null | [...],
                            "comment", "level", "changed", "shown",
                            "ai": null | {"reported", "probability", "boxes"}}}}]}

``shown`` is {"ai", "annotations"}: what the reader had seen of the film by the answer, each true, false, or null where
that is not known, as in files of older pages; ``finish_shown`` is the same for findings that finishing a film answers.
A ``probability`` is null where the run states none.
Boxes are native px, corner origin, half-open. On a finished film, a finding without a verdict is absent if the AI did
not report it; if the AI did report it, it is undecided, and that is a problem. ``value`` is the answer given blind; on
a film whose AI result was never shown it is not final, which is a problem too; there ``ai`` is null, so that the file
does not tell it.

COCO: every listed film was read by the file's reader (``info.reader``, else the name that the caller gives); a category
without a box is absent on it. Label Studio: a label without a rectangle on an annotated task is absent; each annotation
belongs to one reader (``completed_by``). Neither format has verdicts.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from camray.adapters.review.decision_collector import DecisionCollector, seconds_or_none, valid_boxes
from camray.adapters.review.label_studio import read_label_studio
from camray.domain.errors import AnnotationError
from camray.domain.geometry import Box
from camray.domain.reader_decisions import Decision, DecisionsRead, Phase, Reading, Shown, Verdict

PAGE_FORMAT = "camray-review/1"
MAX_DECISIONS_BYTES = 2**26  # of one file: some 20,000 films of the review page


def read_decisions(path: Path, labels: Sequence[str], reader: str = "") -> DecisionsRead:
    """Read one JSON file of decisions in any of the three formats.

    Parameters
    ----------
    path : Path
        File.
    labels : sequence of str
        The run's findings; used where a format does not list its own.
    reader : str
        Name of the reader where the file has none; by default the file's stem.

    Raises
    ------
    AnnotationError
        If the file cannot be read, is too large, or has none of the formats.
    """
    try:
        if path.stat().st_size > MAX_DECISIONS_BYTES:
            raise AnnotationError(
                f"{path.name}: has more than {MAX_DECISIONS_BYTES >> 20} MiB; expected the decisions of one reader; "
                "export them in several files"
            )
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise AnnotationError(
            f"{path.name}: cannot be read as JSON ({type(error).__name__}); export it again"
        ) from error
    read = _reader_of(content)
    if read is None:
        raise AnnotationError(
            f"{path.name}: unknown format; expected decisions of the review page ('format': '{PAGE_FORMAT}'), COCO "
            "('images', 'annotations', 'categories') or Label Studio tasks (a list with 'annotations'); export it again"
        )
    try:
        return read(content, path.name, labels, reader or path.stem)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise AnnotationError(f"{path.name}: damaged ({type(error).__name__}); export it again") from error


_FormatReader = Callable[[Any, str, Sequence[str], str], DecisionsRead]


def _reader_of(content: Any) -> _FormatReader | None:
    """Return the reader of the content's format; None for an unknown one."""
    if isinstance(content, list) and all(isinstance(task, dict) and "annotations" in task for task in content):
        return read_label_studio
    if not isinstance(content, dict):
        return None
    if content.get("format") == PAGE_FORMAT:
        return _read_page
    return _read_coco if {"images", "annotations", "categories"} <= set(content) else None


def _read_page(content: Mapping[str, Any], source: str, labels: Sequence[str], default_reader: str) -> DecisionsRead:
    collector, reader = DecisionCollector(source, "page"), str(content.get("reader") or default_reader)
    for film in content["films"]:
        image_id = str(film["image_id"])
        collector.read(
            Reading(
                reader,
                image_id,
                bool(film.get("finished")),
                seconds_or_none(film.get("seconds")),
                seconds_or_none(film.get("blind_seconds")),
                str(film.get("changed") or ""),
            )
        )
        for label, answer in (film.get("blind") or {}).items():
            where = (reader, image_id, str(label))
            boxes = valid_boxes(answer.get("boxes"), collector, where) if answer["value"] != "0" else ()
            shown = _shown(answer.get("shown"), collector, where)
            collector.decide(Decision(*where, str(answer["value"]), boxes, Phase.BLIND, shown=shown))
        for label, finding in film["findings"].items():
            for decision in _page_decision((reader, image_id, str(label)), film, finding, collector):
                collector.decide(decision)
    return collector.done(str((content.get("run") or {}).get("digest") or ""))


def _page_decision(
    where: tuple[str, str, str], film: Mapping[str, Any], finding: Mapping[str, Any], collector: DecisionCollector
) -> Iterator[Decision]:
    """Yield the finding's decision, if there is one."""
    ai = finding["ai"] or {"reported": False, "boxes": []}
    comment, changed = str(finding.get("comment") or ""), str(finding.get("changed") or "")
    if finding.get("verdict") is None:
        if finding.get("value") and not (film.get("revealed") or film.get("finished")):
            collector.problem("answered blind on a film whose AI result was not shown yet; ignored", *where)
        elif ai["reported"]:
            collector.problem("reported by the AI but without a verdict; ignored", *where)
        elif film.get("finished"):
            shown = _shown(film.get("finish_shown"), collector, where)
            yield Decision(*where, "0", is_explicit=False, comment=comment, changed=changed, shown=shown)
        elif comment:
            collector.problem("a comment without a verdict on a film that is not finished; ignored", *where)
        return
    verdict = Verdict(finding["verdict"])
    reader_boxes = valid_boxes(finding.get("boxes"), collector, where)
    ai_boxes = valid_boxes(ai["boxes"], collector, where) if ai["reported"] else ()
    match verdict:
        case Verdict.CONFIRM:
            value, boxes = ("1", ai_boxes) if ai["reported"] else ("0", ())
        case Verdict.ADJUST:
            value, boxes = "1", reader_boxes
        case Verdict.REJECT:
            value, boxes = "0", ()
        case Verdict.UNCERTAIN:
            value, boxes = "uncertain", reader_boxes
    shown = _shown(finding.get("shown"), collector, where)
    yield Decision(*where, value, boxes, verdict=verdict, comment=comment, changed=changed, shown=shown)


def _shown(entry: Any, collector: DecisionCollector, where: tuple[str, str, str]) -> Shown:
    """Return what the reader had seen by an answer; not known if the file does not say."""
    try:
        return Shown() if entry is None else Shown(entry["ai"], entry["annotations"])
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(
            f"{collector.source}: film {where[1]}, finding '{where[2]}': 'shown' is {entry!r}; expected 'ai' and "
            "'annotations', each true, false or null (not known); export the decisions again"
        ) from error


def _read_coco(content: Mapping[str, Any], source: str, labels: Sequence[str], default_reader: str) -> DecisionsRead:
    collector, info = DecisionCollector(source, "coco"), content.get("info") or {}
    reader = str(info.get("reader") or default_reader)
    films = {film["id"]: str(film.get("film") or film["file_name"]) for film in content["images"]}
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    boxes: dict[tuple[str, str], list[Box]] = {}
    for annotation in content["annotations"]:
        film, label = films.get(annotation.get("image_id")), names.get(annotation.get("category_id"))
        if film is None or label is None:
            collector.problem("a box of an image or category that the file does not list was ignored", reader)
            continue
        where = (reader, film, label)
        sides = annotation.get("bbox") or ()
        if len(sides) != 4:
            collector.problem("an annotation without a box was ignored", *where)
            continue
        x, y, width, height = (float(side) for side in sides)
        boxes.setdefault((film, label), []).extend(valid_boxes([(x, y, x + width, y + height)], collector, where))
    for film in films.values():
        collector.read(Reading(reader, film, is_finished=True))
        for label in names.values():
            own = tuple(boxes.get((film, label), ()))
            collector.decide(Decision(reader, film, label, "1" if own else "0", own, is_explicit=bool(own)))
    return collector.done(str(info.get("run_digest") or ""))
