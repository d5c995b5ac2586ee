"""Three forms of decisions to the same records, and what is wrong with them told."""

import json
from pathlib import Path
from typing import Any

import pytest

from camray.adapters.review import decisions
from camray.adapters.review.decisions import PAGE_FORMAT, read_decisions
from camray.domain.errors import AnnotationError
from camray.domain.geometry import Box
from camray.domain.reader_decisions import Decision, Phase, Shown, Verdict

LABELS = ("Mass", "Effusion")
AI = {"reported": True, "probability": 0.9, "boxes": [[1, 2, 30, 40]]}
SILENT = {"reported": False, "probability": 0.1, "boxes": []}


def _write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _page(tmp_path: Path, findings: dict[str, Any], **film: Any) -> Path:
    film = {"image_id": "1.2.3", "finished": True, "changed": "T1", "seconds": 12.5, "blind": None, **film}
    content = {
        "format": PAGE_FORMAT,
        "run": {"digest": "abc"},
        "reader": "Dr A",
        "films": [film | {"findings": findings}],
    }
    return _write(tmp_path / "page.json", content)


def _finding(verdict: str | None, ai: dict[str, Any] = AI, **more: Any) -> dict[str, Any]:
    return {"verdict": verdict, "boxes": None, "comment": "", "level": None, "changed": "T2", "ai": ai, **more}


@pytest.mark.parametrize(
    ("finding", "value", "boxes"),
    [
        (_finding("confirm"), "1", (Box(1, 2, 30, 40),)),
        (_finding("confirm", SILENT), "0", ()),
        (_finding("reject"), "0", ()),
        (_finding("adjust", boxes=[[5, 5, 9, 9]]), "1", (Box(5, 5, 9, 9),)),
        (_finding("adjust", SILENT, boxes=[]), "1", ()),
        (_finding("uncertain"), "uncertain", ()),
    ],
)
def test_a_verdict_says_what_is_present(tmp_path: Path, finding: Any, value: str, boxes: tuple[Box, ...]) -> None:
    found = read_decisions(_page(tmp_path, {"Mass": finding}), LABELS)
    (decision,) = found.decisions
    assert decision == Decision(
        "Dr A", "1.2.3", "Mass", value, boxes, verdict=Verdict(finding["verdict"]), changed="T2"
    )
    assert found.run_digest == "abc"
    assert (found.readings[0].seconds, found.readings[0].is_finished) == (12.5, True)


def test_a_finished_film_says_what_is_absent(tmp_path: Path) -> None:
    findings = {"Mass": _finding(None, SILENT), "Effusion": _finding(None)}
    found = read_decisions(_page(tmp_path, findings), LABELS)
    assert [(one.label, one.value, one.is_explicit) for one in found.decisions] == [("Mass", "0", False)]
    assert [problem.label for problem in found.problems] == ["Effusion"]  # reported and not judged
    unfinished = read_decisions(_page(tmp_path, findings, finished=False), LABELS)
    assert unfinished.decisions == ()


def test_blind_answers_come_apart(tmp_path: Path) -> None:
    blind = {"Mass": {"value": "1", "boxes": [[0, 0, 5, 5]]}, "Effusion": {"value": "0", "boxes": []}}
    found = read_decisions(_page(tmp_path, {}, blind=blind, blind_seconds=4), LABELS)
    assert {(one.label, one.value, one.phase) for one in found.decisions} == {
        ("Mass", "1", Phase.BLIND),
        ("Effusion", "0", Phase.BLIND),
    }
    assert found.readings[0].blind_seconds == 4


def test_answers_given_blind_on_a_film_not_yet_revealed_are_told(tmp_path: Path) -> None:
    findings = {"Mass": _finding(None, SILENT, value="1", boxes=[[0, 0, 5, 5]]), "Effusion": _finding(None, value="0")}
    found = read_decisions(_page(tmp_path, findings, finished=False, revealed=False), LABELS)
    assert found.decisions == ()
    assert [(one.label, one.what) for one in found.problems] == [
        (label, "answered blind on a film whose AI result was not shown yet; ignored") for label in LABELS
    ]


def test_a_film_still_read_blind_does_not_tell_the_ai(tmp_path: Path) -> None:
    findings = {"Mass": {**_finding(None, value="1"), "ai": None}, "Effusion": {**_finding(None), "ai": None}}
    findings["Effusion"]["comment"] = "rib"
    found = read_decisions(_page(tmp_path, findings, finished=False, revealed=False), LABELS)
    assert found.decisions == ()
    assert [(one.label, one.what) for one in found.problems] == [
        ("Mass", "answered blind on a film whose AI result was not shown yet; ignored"),
        ("Effusion", "a comment without a verdict on a film that is not finished; ignored"),
    ]


def test_what_a_reader_had_seen_comes_with_each_decision(tmp_path: Path) -> None:
    shown = {"ai": True, "annotations": False}
    findings = {"Mass": _finding("confirm", shown=shown), "Effusion": _finding(None, SILENT)}
    blind = {
        "Mass": {"value": "1", "boxes": [], "shown": {"ai": False, "annotations": False}},
        "Effusion": {"value": "0"},
    }
    path = _page(tmp_path, findings, blind=blind, finish_shown={"ai": True, "annotations": True})
    assert {(one.label, one.phase): one.shown for one in read_decisions(path, LABELS).decisions} == {
        ("Mass", Phase.BLIND): Shown(False, False),
        ("Effusion", Phase.BLIND): Shown(None, None),  # as in files of older pages
        ("Mass", Phase.FINAL): Shown(True, False),
        ("Effusion", Phase.FINAL): Shown(True, True),  # answered by finishing the film
    }


@pytest.mark.parametrize(
    "shown", ["yes", 1, {"ai": True}, {"ai": 1, "annotations": False}, {"ai": "no", "annotations": None}]
)
def test_nonsense_about_what_was_shown_is_refused(tmp_path: Path, shown: Any) -> None:
    with pytest.raises(
        AnnotationError, match=r"page\.json: film 1\.2\.3, finding 'Mass': 'shown' is .*true, false or null"
    ):
        read_decisions(_page(tmp_path, {"Mass": _finding("reject", shown=shown)}), LABELS)


def test_a_blind_answer_with_the_ai_shown_is_refused(tmp_path: Path) -> None:
    blind = {"Mass": {"value": "0", "shown": {"ai": True, "annotations": False}}}
    with pytest.raises(AnnotationError, match="damaged"):
        read_decisions(_page(tmp_path, {}, blind=blind), LABELS)


def test_a_broken_box_is_told(tmp_path: Path) -> None:
    path = _page(tmp_path, {"Mass": _finding("adjust", boxes=[[5, 5, 5, 9], [1, 1, 2, 2]])})
    found = read_decisions(path, LABELS)
    assert found.decisions[0].boxes == (Box(1, 1, 2, 2),)
    assert "was ignored" in found.problems[0].what


def test_coco(tmp_path: Path) -> None:
    content = {
        "info": {"reader": "Dr B"},
        "images": [{"id": 7, "file_name": "1.2.3", "width": 100, "height": 80}, {"id": 8, "file_name": "1.2.4"}],
        "categories": [{"id": 1, "name": "Mass"}, {"id": 2, "name": "Effusion"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 40]},
            {"id": 2, "image_id": 99, "category_id": 1, "bbox": [10, 20, 30, 40]},
            {"id": 3, "image_id": 7, "category_id": 2},
        ],
    }
    found = read_decisions(_write(tmp_path / "coco.json", content), LABELS)
    values = {(one.image_id, one.label): (one.value, one.boxes) for one in found.decisions}
    assert values == {
        ("1.2.3", "Mass"): ("1", (Box(10, 20, 40, 60),)),
        ("1.2.3", "Effusion"): ("0", ()),
        ("1.2.4", "Mass"): ("0", ()),
        ("1.2.4", "Effusion"): ("0", ()),
    }
    assert {one.reader for one in found.decisions} == {"Dr B"}
    assert len(found.problems) == 2


def test_label_studio(tmp_path: Path) -> None:
    def rectangle(label: str, x: float, rotation: float = 0) -> dict[str, Any]:
        value = {"x": x, "y": 25, "width": 10, "height": 50, "rotation": rotation, "rectanglelabels": [label]}
        return {"type": "rectanglelabels", "original_width": 200, "original_height": 400, "value": value}

    text = {"type": "textarea", "value": {"text": ["faint"]}}
    whole = {"type": "choices", "value": {"choices": ["Effusion"]}}
    content = [
        {
            "data": {"image_id": "1.2.3"},
            "annotations": [
                {"completed_by": 4, "lead_time": 9.5, "result": [rectangle("Mass", 50), text, whole]},
                {"completed_by": {"id": 5, "email": "someone@site"}, "result": [{"type": "brushlabels", "value": {}}]},
                {"completed_by": 6, "was_cancelled": True, "result": []},
            ],
        },
        {"data": {}, "annotations": []},
    ]
    found = read_decisions(_write(tmp_path / "studio.json", content), LABELS)
    first = {one.label: one for one in found.decisions if one.reader == "reader-4"}
    assert first["Mass"].boxes == (Box(100, 100, 120, 300),)
    assert first["Mass"].comment == "faint"
    assert (first["Effusion"].value, first["Effusion"].boxes) == ("1", ())
    assert {one.value for one in found.decisions if one.reader == "reader-5"} == {"0"}
    assert found.readings[0].seconds == 9.5
    assert "someone" not in repr(found)
    assert len(found.problems) == 3  # brush, skipped, a task without a film


def test_a_rotated_rectangle_is_enclosed(tmp_path: Path) -> None:
    value = {"x": 50, "y": 50, "width": 20, "height": 10, "rotation": 90, "rectanglelabels": ["Mass"]}
    result = {"type": "rectanglelabels", "original_width": 100, "original_height": 100, "value": value}
    content = [{"data": {"image_id": "1"}, "annotations": [{"completed_by": 1, "result": [result]}]}]
    found = read_decisions(_write(tmp_path / "studio.json", content), ("Mass",))
    assert found.decisions[0].boxes[0].as_tuple() == pytest.approx((40, 50, 50, 70))
    assert "rotated" in found.problems[0].what


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[1]",
        f'{{"format": "{PAGE_FORMAT}", "films": [{{}}]}}',
        "[" * 200_000,
        '{"format":' * 200_000,
    ],
    ids=range(6),
)
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AnnotationError, match=r"other\.json"):
        read_decisions(path, LABELS)


def test_a_file_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    with path.open("wb") as stream:
        stream.truncate(decisions.MAX_DECISIONS_BYTES + 1)
    with pytest.raises(AnnotationError, match=r"other\.json: has more than 64 MiB; .* several files"):
        read_decisions(path, LABELS)
