"""Structured reports that a reader edited, as marks on films.

Viewers do not write what they read. OHIF's report is an Enhanced SR in the series of camray's own; its regions are
inside numbers, tracking UIDs are new, and a label may be a finding, a site, a text or a comment, coded or free. So
every measurement group is searched for a region, and all its text is kept. Nothing is read from the Patient module.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from camray.adapters.dicom.read.elements import FAULTS
from camray.adapters.dicom.read.inflated_file import inflated
from camray.adapters.dicom.read.limited_reads import LimitedReads
from camray.adapters.dicom.silence import suppress_warnings
from camray.domain.errors import AnnotationError, ImageError
from camray.domain.geometry import Box
from camray.domain.reader_decisions import MarkedReport, Problem, ReportMark

_SR = "1.2.840.10008.5.1.4.1.1.88."
_OTHER_SR = {_SR + "59", _SR + "50", _SR + "65"}  # key objects, mammography CAD, chest CAD
_IMAGING_MEASUREMENTS, _MEASUREMENT_GROUP = ("126010", "DCM"), ("125007", "DCM")
_QUALITATIVE_EVALUATIONS = ("C0034375", "UMLS")
_FINDING, _SITES = ("121071", "DCM"), {("363698007", "SCT"), ("G-C0E3", "SRT")}
_TRACKING, _ALGORITHM, _PERSON = ("112039", "DCM"), ("111001", "DCM"), ("121008", "DCM")
_NO_LABELS = {
    _TRACKING,
    _ALGORITHM,
    ("111002", "DCM"),
    ("111003", "DCM"),
    ("122405", "DCM"),
}  # version, parameters, maker
_PRESENCE = ("705057003", "SCT")
_PRESENT = {("260373001", "SCT"): True, ("260415000", "SCT"): False}
_FREE_TEXT = {"CORNERSTONEFREETEXT", "CS3DTEXT"}  # older and newer codes of OHIF for typed text
_ROUND = {"CIRCLE": 2, "ELLIPSE": 4}  # points that each has
_NOBODY = {"", "unknown", "unknown unknown", "anonymous"}


@suppress_warnings()
def read_reports(path: Path) -> tuple[list[MarkedReport], list[Problem]]:
    """Read one report, or all of a folder and the folders in it.

    Parameters
    ----------
    path : Path
        File or folder.

    Returns
    -------
    reports : list of MarkedReport
        Sorted by file.
    problems : list of Problem
        Files of the folder that are no such reports, counted by kind.

    Raises
    ------
    AnnotationError
        If no file is a report with measurements.
    """
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    reports: list[MarkedReport] = []
    others: dict[str, list[str]] = {}
    for file in files:
        report = _read(file)
        if isinstance(report, str):
            others.setdefault(report, []).append(file.name)
        else:
            reports.append(report)
    if not reports:
        kinds = "; ".join(f"{len(names)} x {what}" for what, names in others.items()) or "the folder is empty"
        raise AnnotationError(f"{path.name}: no structured report with measurements: {kinds}")
    return reports, [
        Problem(path.name, f"{len(names)} of its files left out: {what} (the first: {names[0]})")
        for what, names in others.items()
    ]


def is_dicom(path: Path) -> bool:
    """Return whether a file has DICOM's prefix."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _read(file: Path) -> MarkedReport | str:
    """Return a report, or the reason why the file is none."""
    try:
        with file.open("rb") as stream:
            ds = dcmread(LimitedReads(inflated(stream)))
        ds.decode()
        sop_class = str(ds.get("SOPClassUID", ""))
        if not sop_class.startswith(_SR) or sop_class in _OTHER_SR:
            return "no structured report"
        if not any(_name(item) in (_IMAGING_MEASUREMENTS, _QUALITATIVE_EVALUATIONS) for item in _walk(ds)):
            return "a report without imaging measurements (TID 1500)"
        return _report(ds, file.name)
    except InvalidDicomError:
        return "no DICOM"
    except ImageError:
        return "cannot be read"
    except FAULTS:
        return "cannot be read"


def _report(ds: Dataset, source: str) -> MarkedReport:
    films = list(dict.fromkeys(_films(ds)))
    marks = [mark for group in _below(ds, _IMAGING_MEASUREMENTS, _MEASUREMENT_GROUP) for mark in _marks(group, films)]
    marks += [mark for item in _below(ds, _QUALITATIVE_EVALUATIONS) for mark in _evaluations(item, films)]
    named = [mark.image_id for mark in marks if mark.image_id]
    observer = _observer(ds)
    predecessors = ds.get("PredecessorDocumentsSequence") or []
    return MarkedReport(
        source=source,
        uid=str(ds.get("SOPInstanceUID", "")),
        observer=observer,
        changed=_changed(ds),
        is_own=str(ds.get("Manufacturer", "")) == "camray" and not observer,
        has_predecessor=len(predecessors) > 0,
        films=tuple(dict.fromkeys([*films, *named])),
        marks=tuple(marks),
    )


def _below(ds: Dataset, container: tuple[str, str], name: tuple[str, str] | None = None) -> list[Dataset]:
    """Return the items of that name, or all, in the containers of a report."""
    containers = [item for item in _walk(ds) if _name(item) == container]
    return [item for each in containers for item in _walk(each) if name is None or _name(item) == name]


def _evaluations(item: Dataset, films: Sequence[str]) -> Iterator[ReportMark]:
    """Yield what a qualitative evaluation (TID 1500, row 13) says of a finding: present or absent, without a region."""
    is_present = _PRESENT.get(_code(item))
    if item.get("ValueType") != "CODE" or is_present is None:
        return
    yield ReportMark(
        image_id=next((uid for each in _walk(item) for uid in _image(each)), films[0] if len(films) == 1 else ""),
        shape="",
        box=None,
        codes=(_name(item),),
        texts=(str(item.ConceptNameCodeSequence[0].get("CodeMeaning", "")).strip(),),
        is_present=is_present,
        by_algorithm=any(_name(each) == _ALGORITHM for each in _walk(item)),
    )


def _films(ds: Dataset) -> Iterator[str]:
    """Yield the images that are evidence, and those that content refers to."""
    for study in ds.get("CurrentRequestedProcedureEvidenceSequence") or []:
        for series in study.get("ReferencedSeriesSequence") or []:
            for instance in series.get("ReferencedSOPSequence") or []:
                if not str(instance.ReferencedSOPClassUID).startswith(_SR):
                    yield str(instance.ReferencedSOPInstanceUID)
    yield from (uid for item in _walk(ds) for uid in _image(item))


def _image(item: Dataset) -> list[str]:
    if item.get("ValueType") != "IMAGE":
        return []
    return [str(reference.ReferencedSOPInstanceUID) for reference in item.get("ReferencedSOPSequence") or []]


def _marks(group: Dataset, films: Sequence[str]) -> Iterator[ReportMark]:
    items = list(_walk(group))
    findings = [item for item in items if _name(item) == _FINDING and item.get("ConceptCodeSequence")]
    presence = [_PRESENT.get(_code(item)) for item in items if _name(item) == _PRESENCE]
    shared: dict[str, Any] = {
        "codes": tuple(_code(item) for item in findings if _code(item)[0] not in _FREE_TEXT),
        "texts": tuple(dict.fromkeys(_labels(items))),
        "identifier": next((_text(item) for item in items if _name(item) == _TRACKING), ""),
        "is_present": next((value for value in presence if value is not None), None),
        "by_algorithm": any(_name(item) == _ALGORITHM for item in items),
    }
    here = next((uid for item in items for uid in _image(item)), films[0] if len(films) == 1 else "")
    regions = [item for item in items if item.get("ValueType") in ("SCOORD", "SCOORD3D")]
    for region in regions:
        shape, box = _shape(region)
        own = next((uid for item in _walk(region) for uid in _image(item)), here)
        yield ReportMark(own, shape, box, **shared)
    if not regions:
        yield ReportMark(here, "", None, **shared)


def _labels(items: Sequence[Dataset]) -> Iterator[str]:
    """Yield what may name a finding: free text first, meanings of codes last."""
    coded = []
    for item in items:
        name = _name(item)
        if item.get("ValueType") == "TEXT" and name not in _NO_LABELS:
            yield _text(item)
        elif (name == _FINDING or name in _SITES) and item.get("ConceptCodeSequence"):
            meaning = str(item.ConceptCodeSequence[0].get("CodeMeaning", "")).strip()
            if _code(item)[0] in _FREE_TEXT:
                yield meaning
            elif name == _FINDING:
                coded.append(meaning)
    yield from coded


def _shape(region: Dataset) -> tuple[str, Box | None]:
    kind, values = str(region.get("GraphicType", "")), [float(each) for each in region.get("GraphicData") or []]
    if region.ValueType == "SCOORD3D" or len(values) % 2 or not all(map(math.isfinite, values)):
        return "line", None
    xs, ys = values[0::2], values[1::2]
    if kind == "POINT" or len(xs) == 1:
        return "point", None
    if len(xs) == _ROUND.get(kind):
        return _box(*_round(kind, xs, ys))
    if kind == "POLYLINE" and (len(xs) < 4 or (xs[0], ys[0]) != (xs[-1], ys[-1])) and len(xs) != 4:
        return "line", None  # four open corners are a rectangle too
    return _box(min(xs), min(ys), max(xs), max(ys)) if kind == "POLYLINE" else ("line", None)


def _round(kind: str, xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the corners around a circle (centre, a point on it) or ellipse (ends of both axes), PS3.3 C.18.6.1.2."""
    if kind == "CIRCLE":
        radius = math.hypot(xs[1] - xs[0], ys[1] - ys[0])
        return xs[0] - radius, ys[0] - radius, xs[0] + radius, ys[0] + radius
    x, y = (xs[0] + xs[1]) / 2, (ys[0] + ys[1]) / 2
    half_x = math.hypot((xs[1] - xs[0]) / 2, (xs[3] - xs[2]) / 2)
    half_y = math.hypot((ys[1] - ys[0]) / 2, (ys[3] - ys[2]) / 2)
    return x - half_x, y - half_y, x + half_x, y + half_y


def _box(x0: float, y0: float, x1: float, y1: float) -> tuple[str, Box | None]:
    return ("area", Box(x0, y0, x1, y1)) if x1 > x0 and y1 > y0 else ("line", None)


def _observer(ds: Dataset) -> str:
    """Return the person who verified, wrote or observed, in this order; empty where none is named."""
    names = [item.get("VerifyingObserverName") for item in ds.get("VerifyingObserverSequence") or []]
    names += [item.get("PersonName") for item in ds.get("AuthorObserverSequence") or []]
    names += [item.get("PersonName") for item in _walk(ds) if _name(item) == _PERSON]
    for name in names:
        plain = " ".join(str(name or "").split("=")[0].replace("^", " ").split())
        if plain.lower() not in _NOBODY:
            return plain
    return ""


def _changed(ds: Dataset) -> str:
    """Return date and time of the content, ISO 8601; minutes and seconds may be missing, old forms have separators."""
    date = str(ds.get("ContentDate") or "").strip().replace(".", "").replace("-", "")
    time, _, fraction = str(ds.get("ContentTime") or "").strip().replace(":", "").partition(".")
    if len(date) != 8:
        return ""
    clock = ":".join(time.ljust(6, "0")[start : start + 2] for start in (0, 2, 4))
    return f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock}" + (f".{fraction}" if fraction.strip("0") else "")


def _name(item: Dataset) -> tuple[str, str]:
    return _pair(item.get("ConceptNameCodeSequence"))


def _code(item: Dataset) -> tuple[str, str]:
    return _pair(item.get("ConceptCodeSequence"))


def _pair(sequence: Any) -> tuple[str, str]:
    if not sequence:
        return "", ""
    return str(sequence[0].get("CodeValue", "")), str(sequence[0].get("CodingSchemeDesignator", ""))


def _text(item: Dataset) -> str:
    return " ".join(str(item.get("TextValue", "")).split())


def _walk(item: Dataset) -> Iterator[Dataset]:
    yield item
    for child in item.get("ContentSequence") or []:
        yield from _walk(child)
