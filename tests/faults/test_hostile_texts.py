"""Names of findings that a format could take for its own: written so that they read back, or refused by name."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pydicom
import pytest

from camray.adapters.datasets.csv_text import plain_name
from camray.adapters.datasets.manifest import LabelRules
from camray.adapters.export_formats import voc_label_names
from camray.adapters.tracking.interface import NullTracker
from camray.domain.errors import PipelineError
from camray.stages.export import stage as export
from camray.workflows.review.export_page import build
from tests import dicom_run
from tests.faults.fault_table import FULL, Tally
from tests.reporting.hostile_texts import TEXT, assert_escaped

pytestmark = FULL

FORMATS = ("csv", "coco", "labelstudio", "voc", "sr", "gsps", "sc", "seg", "pdf")
SECOND = "Effusion"
ONE_VALUE = {"CodeMeaning", "SegmentLabel", "UnformattedTextValue"}
NAMES = {
    "formula": "=cmd|' /C calc'!A0",
    "formula with a tab": "\t=1+1",
    "plus": "+1+1",
    "at": "@SUM(1)",
    "minus": "-2+3",
    "line break": "Mass\nlabel::::",
    "carriage return": "Mass\r",
    "colon": "Mass:1,2,3::",
    "hash": "# Mass",
    "comma and quote": 'Mass, "large"',
    "markup": TEXT,
    "script end": "</script><!--",
    "template": "{{ 7 * 7 }}{% raw %}",
    "entity": "&xxe; &lt; ]]>",
    "backslash": "Mass\\Nodule",
    "caret and equals": "Mass^a=b",
    "null": "Mass\0",
    "escape": "Mass\x1b[31m",
    "right to left": "\u202eMass",
    "other script": "결절 腫瘤 узел",
    "combining": "Ma\u0301\u0301\u0301ss",
    "beyond the first plane": "Mass \U0001f4a3",
    "long": "Mass " * 60,
    "blank": "   ",
    "dots": "../../Mass",
    "slash": "/etc/passwd",
    "percent": "%s%n%20",
    "device": "CON",
    "number": "1e5",
    "missing": "NaN",
}


MARKUP = set("<>&{}'\"%\\")  # names with one of these go into a review page too


def _csv_rows(folder: Path) -> set[str]:
    with (folder / "boxes.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        texts = (row["label"], row["image_id"], row["zone"])
        assert not any(text.startswith(("=", "+", "-", "@", "\t", "\r")) for text in texts), "a cell is a formula"
    return {row["label"].removeprefix("'") for row in rows}


def _coco(folder: Path) -> set[str]:
    content = json.loads((folder / "coco.json").read_text(encoding="utf-8"))
    return {category["name"] for category in content["categories"]}


def _label_studio(folder: Path) -> set[str]:
    root = ElementTree.parse(folder / "labelstudio.xml").getroot()
    tasks = json.loads((folder / "labelstudio.json").read_text(encoding="utf-8"))
    results = [result for task in tasks for prediction in task["predictions"] for result in prediction["result"]]
    names = {str(label.get("value")) for label in root.iter("Label")}
    assert {name for result in results for name in result["value"]["rectanglelabels"]} <= names
    return names


def _voc(folder: Path) -> set[str]:
    names = set()
    for path in (folder / "voc" / "Annotations").glob("*.xml"):
        for item in ElementTree.parse(path).getroot().iter("object"):
            names.add(str(item.findtext("name")))
    return names


def _label_map(folder: Path) -> set[str]:
    lines = (folder / "voc" / "labelmap.txt").read_text(encoding="utf-8").split("\n")[:-1]
    lines = [line for line in lines if not line.startswith("#")]
    assert all(line.count(":") == 3 for line in lines), "labelmap.txt has a line of another form"
    return {line.split(":")[0] for line in lines}


def _reports(folder: Path) -> None:
    files = list((folder / "dicom").glob("*.dcm"))
    assert files
    for path in files:
        for element in pydicom.dcmread(path).iterall():
            if element.keyword in ONE_VALUE:
                assert element.VM <= 1, f"{element.keyword} has {element.VM} values"
            if element.VR in {"LO", "SH"} and isinstance(element.value, str):
                assert len(element.value) <= 64, f"{element.keyword} is too long"
                assert not any(ord(letter) < 32 and letter != "\x1b" for letter in element.value), element.keyword


READERS: dict[str, Callable[[Path], set[str]]] = {
    "CSV": _csv_rows,
    "COCO": _coco,
    "Label Studio": _label_studio,
    "VOC": _voc,
    "VOC label map": _label_map,
}


def judge(
    name: str, root: Path, faults: Tally, monkeypatch: pytest.MonkeyPatch, formats: tuple[str, ...] = FORMATS
) -> None:
    """Export a run with a finding of this name, and read every file back."""
    text = plain_name(NAMES[name])  # as tables are read
    monkeypatch.setattr(dicom_run, "LABELS", (text, SECOND))
    try:
        folder = dicom_run.make_run(root, 2)
        settings = dicom_run.settings_of(root, formats=list(formats), capture_px=256)
        export.run(settings, folder, NullTracker())
        if formats == FORMATS and set(text) & MARKUP:
            build(settings, folder, splits=("test",), annotations=True, display_px=128, picture="png")
    except PipelineError as refused:
        is_named = repr(text)[1:9] in str(refused) or text[:8] in str(refused) or "finding" in str(refused)
        faults.count("text: refused", "" if is_named else f"{name}: {refused}")
        return
    except Exception as crash:  # noqa: BLE001 - the table counts every crash
        faults.count("text: refused", f"{name}: {type(crash).__name__}: {crash}")
        return
    for form, reader in READERS.items():
        spelled = voc_label_names([text, SECOND])[text] if "VOC" in form else text
        faults.count(f"text: {form}", _read_back(name, spelled, reader, folder.root / "export"))
    faults.count("text: DICOM", _wrong(name, lambda: _reports(folder.root / "export")))
    if (folder.root / "review").is_dir():
        faults.count("text: review page", _wrong(name, lambda: _page(folder.root / "review", text)))


def _read_back(name: str, text: str, read: Callable[[Path], set[str]], folder: Path) -> str:
    found: list[set[str]] = []
    failure = _wrong(name, lambda: found.append(read(folder)))
    if failure or text in found[0] <= {text, SECOND}:
        return failure
    return f"{name}: read back as {sorted(found[0] - {SECOND})}"[:200]


def _wrong(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - the table counts whatever a reader meets
        return f"{name}: {type(error).__name__}: {str(error)[:150]}"
    return ""


def _in_manifest(text: str) -> None:
    """A data manifest refuses a name that is no plain line, or reads it as tables do."""
    try:
        read = LabelRules(name=text).finding().name
    except ValueError:
        return
    assert read == plain_name(text), f"{text!r} stays as it is"


def _page(folder: Path, text: str) -> None:
    for path in folder.glob("*.html"):
        page = path.read_text(encoding="utf-8")
        if text == TEXT and text in page:
            assert_escaped(page)
        assert "<img src=x" not in page, "the page has markup from a name"
        assert "</script><!--" not in page, "a name ends the script"


def test_hostile_names(tmp_path: Path, faults: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in NAMES.items():
        faults.count("text: data manifest", _wrong(name, lambda text=text: _in_manifest(text)))
        judge(name, tmp_path / name, faults, monkeypatch)
