"""Decisions files to records: the review page's JSON, COCO and Label Studio.

The page's form, ``camray-review/1``::

    {"format", "run": {"name", "digest", "method"}, "labels": [...], "reader", "exported", "films": [
      {"image_id", "finished", "opened", "changed", "seconds", "blind_seconds", "revealed",
       "blind": null | {label: {"value": "1" | "0" | "uncertain", "boxes": [[x0, y0, x1, y1], ...]}},
       "findings": {label: {"verdict": confirm | adjust | reject | uncertain | null, "value", "boxes": null | [...],
                            "comment", "level", "changed", "ai": {"reported", "probability", "boxes"}}}}]}

Boxes are native px, corner origin, half-open. A finding without a verdict on a finished film is absent if the AI did
not report it; where it did, nothing was decided, and that is reported as a problem. ``value`` is the answer given
blind; on a film whose AI was never shown it is not final, and is reported as a problem too.

COCO: a film that is listed was read by the file's reader (``info.reader``, else the caller's name for the reader); a
category without a box on it is absent there. Label Studio: so is a label without a rectangle on an annotated task;
each annotation is one reader's (``completed_by``). Neither knows verdicts.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from camray.domain.errors import AnnotationError
from camray.domain.geometry import Box
from camray.domain.reader_decisions import Decision, DecisionsRead, Phase, Problem, Reading, Verdict

PAGE_FORMAT = "camray-review/1"


def read_decisions(path: Path, labels: Sequence[str], reader: str = "") -> DecisionsRead:
    """Read one JSON file of decisions, whichever of the three forms it has.

    Parameters
    ----------
    path : Path
        File.
    labels : sequence of str
        The run's findings; used where a form does not list its own.
    reader : str
        Who read, for forms that do not say; the file's stem if empty.

    Raises
    ------
    AnnotationError
        If the file cannot be read or has none of the forms.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise AnnotationError(f"{path.name}: cannot be read as JSON ({type(error).__name__})") from error
    form = _form(content)
    if form is None:
        raise AnnotationError(
            f"{path.name}: neither decisions of the review page ('format': '{PAGE_FORMAT}'), nor COCO ('images', "
            "'annotations', 'categories'), nor Label Studio tasks (a list with 'annotations')"
        )
    try:
        return form(content, path.name, labels, reader or path.stem)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnnotationError(f"{path.name}: is damaged ({type(error).__name__}); export it again") from error


_Form = Callable[[Any, str, Sequence[str], str], DecisionsRead]


def _form(content: Any) -> _Form | None:
    if isinstance(content, list) and all(isinstance(task, dict) and "annotations" in task for task in content):
        return _read_label_studio
    if not isinstance(content, dict):
        return None
    if content.get("format") == PAGE_FORMAT:
        return _read_page
    return _read_coco if {"images", "annotations", "categories"} <= set(content) else None


class _Gathered:
    """What is found in a file, and what is wrong with it."""

    def __init__(self, source: str, form: str) -> None:
        self._source, self._form = source, form
        self._decisions: dict[tuple[str, str, str, Phase], Decision] = {}
        self._readings: dict[tuple[str, str], Reading] = {}
        self._problems: list[Problem] = []

    def problem(self, what: str, reader: str = "", image_id: str = "", label: str = "") -> None:
        self._problems.append(Problem(self._source, what, reader, image_id, label))

    def decide(self, decision: Decision) -> None:
        key = (decision.reader, decision.image_id, decision.label, decision.phase)
        if key in self._decisions and self._decisions[key] != decision:
            self.problem("decided twice in this file; the later one counts", *key[:3])
        self._decisions[key] = decision

    def read(self, reading: Reading) -> None:
        key = (reading.reader, reading.image_id)
        if key in self._readings:
            self.problem("the film stands in this file twice; the later one counts", *key)
        self._readings[key] = reading

    def done(self, run_digest: str = "") -> DecisionsRead:
        return DecisionsRead(
            self._source,
            self._form,
            run_digest,
            tuple(self._decisions.values()),
            tuple(self._readings.values()),
            tuple(self._problems),
        )


def _boxes(corners: Any, gathered: _Gathered, where: tuple[str, str, str]) -> tuple[Box, ...]:
    """Turn lists of corners into boxes; what is no box is told."""
    boxes = []
    for each in corners or ():
        try:
            boxes.append(Box(*(float(side) for side in each)))
        except (TypeError, ValueError):
            gathered.problem("a box without finite corners or area was left out", *where)
    return tuple(boxes)


def _read_page(content: Mapping[str, Any], source: str, labels: Sequence[str], named: str) -> DecisionsRead:
    gathered, reader = _Gathered(source, "page"), str(content.get("reader") or named)
    for film in content["films"]:
        image_id = str(film["image_id"])
        gathered.read(
            Reading(
                reader,
                image_id,
                bool(film.get("finished")),
                _seconds(film.get("seconds")),
                _seconds(film.get("blind_seconds")),
                str(film.get("changed") or ""),
            )
        )
        for label, answer in (film.get("blind") or {}).items():
            where = (reader, image_id, str(label))
            boxes = _boxes(answer.get("boxes"), gathered, where) if answer["value"] != "0" else ()
            gathered.decide(Decision(*where, str(answer["value"]), boxes, Phase.BLIND))
        for label, finding in film["findings"].items():
            for decision in _page_decision((reader, image_id, str(label)), film, finding, gathered):
                gathered.decide(decision)
    return gathered.done(str((content.get("run") or {}).get("digest") or ""))


def _page_decision(
    where: tuple[str, str, str], film: Mapping[str, Any], finding: Mapping[str, Any], gathered: _Gathered
) -> Iterator[Decision]:
    """Yield what was decided, if anything was."""
    ai, comment, changed = finding["ai"], str(finding.get("comment") or ""), str(finding.get("changed") or "")
    if finding.get("verdict") is None:
        if finding.get("value") and not (film.get("revealed") or film.get("finished")):
            gathered.problem("answered blind on a film whose AI was not shown yet; left out", *where)
        elif ai["reported"]:
            gathered.problem("reported by the AI and not judged; left out", *where)
        elif film.get("finished"):
            yield Decision(*where, "0", is_explicit=False, comment=comment, changed=changed)
        elif comment:
            gathered.problem("a comment without a verdict on a film that is not finished; left out", *where)
        return
    verdict = Verdict(finding["verdict"])
    own = _boxes(finding.get("boxes"), gathered, where)
    shown = _boxes(ai["boxes"], gathered, where) if ai["reported"] else ()
    match verdict:
        case Verdict.CONFIRM:
            value, boxes = ("1", shown) if ai["reported"] else ("0", ())
        case Verdict.ADJUST:
            value, boxes = "1", own
        case Verdict.REJECT:
            value, boxes = "0", ()
        case Verdict.UNCERTAIN:
            value, boxes = "uncertain", own
    yield Decision(*where, value, boxes, verdict=verdict, comment=comment, changed=changed)


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _read_coco(content: Mapping[str, Any], source: str, labels: Sequence[str], named: str) -> DecisionsRead:
    gathered, info = _Gathered(source, "coco"), content.get("info") or {}
    reader = str(info.get("reader") or named)
    films = {film["id"]: str(film["file_name"]) for film in content["images"]}
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    boxes: dict[tuple[str, str], list[Box]] = {}
    for one in content["annotations"]:
        film, label = films.get(one.get("image_id")), names.get(one.get("category_id"))
        if film is None or label is None:
            gathered.problem("a box of an image or category that the file does not list was left out", reader)
            continue
        where = (reader, film, label)
        sides = one.get("bbox") or ()
        if len(sides) != 4:
            gathered.problem("an annotation without a box was left out", *where)
            continue
        x, y, width, height = (float(side) for side in sides)
        boxes.setdefault((film, label), []).extend(_boxes([(x, y, x + width, y + height)], gathered, where))
    for film in films.values():
        gathered.read(Reading(reader, film, is_finished=True))
        for label in names.values():
            found = tuple(boxes.get((film, label), ()))
            gathered.decide(Decision(reader, film, label, "1" if found else "0", found, is_explicit=bool(found)))
    return gathered.done(str(info.get("run_digest") or ""))


def _read_label_studio(
    content: Sequence[Mapping[str, Any]], source: str, labels: Sequence[str], named: str
) -> DecisionsRead:
    gathered = _Gathered(source, "label_studio")
    for task in content:
        data = task.get("data") or {}
        image_id = str(data.get("image_id") or "")
        if not image_id:
            gathered.problem("a task without data.image_id was left out")
            continue
        for one in task["annotations"]:
            reader = _label_studio_reader(one, named)
            if one.get("was_cancelled"):
                gathered.problem("skipped by the reader; left out", reader, image_id)
                continue
            seconds, changed = _seconds(one.get("lead_time")), str(one.get("updated_at") or "")
            gathered.read(Reading(reader, image_id, True, seconds, changed=changed))
            marked, comment = _label_studio_marks(one.get("result") or (), gathered, reader, image_id)
            for label in dict.fromkeys([*labels, *marked]):
                found = tuple(marked.get(label, ()))
                value = "1" if label in marked else "0"
                gathered.decide(
                    Decision(
                        reader, image_id, label, value, found, is_explicit=label in marked,
                        comment=comment if label in marked else "", changed=changed,
                    )
                )  # fmt: skip
    return gathered.done()


def _label_studio_reader(annotation: Mapping[str, Any], named: str) -> str:
    """Name the reader by number: an account's address would name a person."""
    who = annotation.get("completed_by")
    if isinstance(who, Mapping):
        who = who.get("id")
    return named if who is None else f"reader-{who}"


def _label_studio_marks(
    results: Sequence[Mapping[str, Any]], gathered: _Gathered, reader: str, image_id: str
) -> tuple[dict[str, list[Box]], str]:
    """Return boxes by label, and the comment; labels chosen for the whole film have no box."""
    marked: dict[str, list[Box]] = {}
    comments: list[str] = []
    for result in results:
        kind, value = result.get("type"), result.get("value") or {}
        if kind == "rectanglelabels":
            sides = [float(value[key]) for key in ("x", "y", "width", "height")]
            size = [float(result["original_width"]), float(result["original_height"])] * 2
            x, y, width, height = (side * whole / 100 for side, whole in zip(sides, size, strict=True))
            if value.get("rotation"):
                gathered.problem("a rotated rectangle; the upright box around it was taken", reader, image_id)
                x, y, width, height = _upright(x, y, width, height, float(value["rotation"]))
            for label in value.get("rectanglelabels") or ():
                corners = [(x, y, x + width, y + height)]
                marked.setdefault(str(label), []).extend(_boxes(corners, gathered, (reader, image_id, str(label))))
        elif kind == "choices":
            for label in value.get("choices") or ():
                marked.setdefault(str(label), [])
        elif kind == "textarea":
            comments += [str(text) for text in value.get("text") or ()]
        else:
            gathered.problem(
                f"a mark of the kind '{kind}' was left out; boxes, choices and texts are read", reader, image_id
            )
    return marked, " ".join(comments)


def _upright(x: float, y: float, width: float, height: float, degrees: float) -> tuple[float, float, float, float]:
    """Return the smallest upright box around a rectangle that is turned clockwise about its top left corner."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    across = [x, x + width * cos, x - height * sin, x + width * cos - height * sin]
    down = [y, y + width * sin, y + height * cos, y + width * sin + height * cos]
    return min(across), min(down), max(across) - min(across), max(down) - min(down)
