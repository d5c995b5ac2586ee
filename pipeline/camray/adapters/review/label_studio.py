"""Label Studio tasks as decisions of readers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from camray.adapters.review.decision_collector import DecisionCollector, seconds_or_none, valid_boxes
from camray.domain.geometry import Box
from camray.domain.reader_decisions import Decision, DecisionsRead, Reading


def read_label_studio(
    content: Sequence[Mapping[str, Any]], source: str, labels: Sequence[str], default_reader: str
) -> DecisionsRead:
    """Read annotated tasks.

    Parameters
    ----------
    content : sequence of mapping
        Tasks as Label Studio exports them, with ``data.image_id``.
    source : str
        Name of the file.
    labels : sequence of str
        The run's findings; one without a mark on an annotated task is absent.
    default_reader : str
        Reader of annotations without ``completed_by``.
    """
    collector = DecisionCollector(source, "label_studio")
    for task in content:
        data = task.get("data") or {}
        image_id = str(data.get("image_id") or "")
        if not image_id:
            collector.problem("a task without data.image_id was ignored")
            continue
        for annotation in task["annotations"]:
            reader = _label_studio_reader(annotation, default_reader)
            if annotation.get("was_cancelled"):
                collector.problem("skipped by the reader; ignored", reader, image_id)
            else:
                _read_annotation(annotation, labels, reader, image_id, collector)
    return collector.done()


def _read_annotation(
    annotation: Mapping[str, Any], labels: Sequence[str], reader: str, image_id: str, collector: DecisionCollector
) -> None:
    seconds, changed = seconds_or_none(annotation.get("lead_time")), str(annotation.get("updated_at") or "")
    collector.read(Reading(reader, image_id, True, seconds, changed=changed))
    marked, comment = _label_studio_marks(annotation.get("result") or (), collector, reader, image_id)
    for label in dict.fromkeys([*labels, *marked]):
        is_marked = label in marked
        collector.decide(
            Decision(
                reader,
                image_id,
                label,
                "1" if is_marked else "0",
                tuple(marked.get(label, ())),
                is_explicit=is_marked,
                comment=comment if is_marked else "",
                changed=changed,
            )
        )


def _label_studio_reader(annotation: Mapping[str, Any], default_reader: str) -> str:
    """Return the reader's number as a name: an account's e-mail address would identify a person."""
    account = annotation.get("completed_by")
    if isinstance(account, Mapping):
        account = account.get("id")
    return default_reader if account is None else f"reader-{account}"


def _label_studio_marks(
    results: Sequence[Mapping[str, Any]], collector: DecisionCollector, reader: str, image_id: str
) -> tuple[dict[str, list[Box]], str]:
    """Return boxes by label, and the comment; labels of the whole film have no box."""
    marked: dict[str, list[Box]] = {}
    comments: list[str] = []
    for result in results:
        kind, value = result.get("type"), result.get("value") or {}
        if kind == "rectanglelabels":
            sides = [float(value[key]) for key in ("x", "y", "width", "height")]
            size = [float(result["original_width"]), float(result["original_height"])] * 2
            x, y, width, height = (side * whole / 100 for side, whole in zip(sides, size, strict=True))
            if value.get("rotation"):
                collector.problem("a rotated rectangle was replaced by the upright box around it", reader, image_id)
                x, y, width, height = _upright(x, y, width, height, float(value["rotation"]))
            for label in value.get("rectanglelabels") or ():
                corners = [(x, y, x + width, y + height)]
                marked.setdefault(str(label), []).extend(
                    valid_boxes(corners, collector, (reader, image_id, str(label)))
                )
        elif kind == "choices":
            for label in value.get("choices") or ():
                marked.setdefault(str(label), [])
        elif kind == "textarea":
            comments += [str(text) for text in value.get("text") or ()]
        else:
            collector.problem(
                f"a mark of the kind '{kind}' was ignored; rectangles, choices and texts are read", reader, image_id
            )
    return marked, " ".join(comments)


def _upright(x: float, y: float, width: float, height: float, degrees: float) -> tuple[float, float, float, float]:
    """Return the smallest upright box around a rectangle that is turned clockwise about its top left corner."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    across = [x, x + width * cos, x - height * sin, x + width * cos - height * sin]
    down = [y, y + width * sin, y + height * cos, y + width * sin + height * cos]
    return min(across), min(down), max(across) - min(across), max(down) - min(down)
