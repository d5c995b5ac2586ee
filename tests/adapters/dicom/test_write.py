"""Objects in the studies of their films: what is written is read back exactly, and validators find no error."""

import shutil
import subprocess
import warnings
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import Dataset as PydicomDataset

from camray.adapters.dicom.read.image import read_dicom
from camray.adapters.dicom.write import gsps, pdf, sc, seg, sr
from camray.adapters.dicom.write.common_attributes import code_of
from camray.adapters.dicom.write.source_header import TYPE_2, read_source
from camray.core.imaging.grayscale import to_unit_scale
from camray.core.imaging.voi import display_voi
from camray.domain.errors import ExportError
from camray.domain.geometry import Box
from camray.domain.object_identity import ObjectReference
from camray.reporting.film_page import film_page
from tests.adapters.dicom.object_films import ENCODINGS, bare_film, dciodvfy, identity_of, phantom, result_of
from tests.adapters.dicom.read_back import read_gsps, read_sr

KINDS = ("sr", "gsps", "sc", "pdf", "seg-heat", "seg-boxes")
PICTURE = np.full((120, 160, 3), 40, np.uint8)
needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
needs_dcmtk = pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dsrdump (dcmtk) is not installed")


def build(
    path: Path,
    kind: str,
    *,
    negative: bool = False,
    predecessor: Any = None,
    created: datetime | None = None,
    **more: Any,
) -> Dataset:
    source, stored = read_source(path), read_dicom(path, None)
    result = result_of(source, negative=negative, **more)
    identity = identity_of(kind, 2 if predecessor else 1, predecessor)
    identity = identity if created is None else replace(identity, created=created)
    match kind:
        case "sr":
            return sr.build_sr(result, source, identity)
        case "gsps":
            voi = display_voi(stored.values, stored.grey)
            return gsps.build_gsps(result, source, identity, stored, voi)
        case "sc":
            return sc.build_sc(result, source, identity, PICTURE)
        case "pdf":
            return pdf.build_pdf(result, source, identity, page_of(result, source))
        case "seg-heat":
            return seg.build_heat_seg(result, source, identity, result.reported, heat_of(result))
        case _:
            return seg.build_box_seg(result, source, identity, [one for one in result.reported if one.boxes])


def page_of(result: Any, source: Dataset) -> bytes:
    codes = {each.name: code_of(each.finding) for each in result.findings}
    return film_page(result, pdf.patient_and_study(source), codes, PICTURE)


def heat_of(result: Any) -> np.ndarray:
    return np.random.default_rng(5).random((2, result.rows, result.cols)).astype(np.float32)


def saved(ds: Dataset, path: Path) -> PydicomDataset:
    ds.save_as(path, enforce_file_format=True)
    return pydicom.dcmread(path)


@pytest.fixture(params=[*ENCODINGS, "bare"])
def film(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "film.dcm"
    if request.param == "bare":
        return bare_film(path)
    path.write_bytes(phantom(request.param))
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "film.dcm"
    path.write_bytes(phantom("dx-mono2"))
    return path


def test_a_report_read_back_equals_the_result(film: Path, tmp_path: Path) -> None:
    rows = read_sr(saved(build(film, "sr"), tmp_path / "sr.dcm"))
    source = read_source(film)
    pneumonia = result_of(source).findings[0]
    boxes, numbers, rest = rows[:2], rows[2:4], rows[4:]
    assert [row["box"] for row in boxes] == [in_sr(one.box, source) for one in pneumonia.boxes]  # exactly
    assert {row["finding"] for row in boxes} == {("233604007", "SCT", "Pneumonia")}
    assert {row["sop_instance_uid"] for row in rows} == {source.SOPInstanceUID}
    assert [row["percent"] for row in numbers] == [91.2346, 91.2346]
    assert [(row["finding"], row["percent"], row["present"]) for row in rest] == [
        (("309529002", "SCT", "Lung mass"), 61.0, True),
        (("AIR_LEAK_B58142", "99CAMRAY", "Air leak, any"), 4.3, False),
    ]
    assert [row["tracking_uid"] for row in boxes] == [row["tracking_uid"] for row in numbers]
    assert len({row["tracking_uid"] for row in boxes}) == 2
    assert [row["comment"] for row in rows if row["percent"] is None or not row["tracking_uid"]] == [
        "Pneumonia 0.91, right upper zone (AI, not verified)",
        "Pneumonia 0.91 (AI, not verified)",
        "Nodule/Mass 0.61 (AI, not verified): the map holds no localization",
        "Air leak, any 0.04 (AI, not verified): below the cutoff of 0.50",
    ]


def in_sr(box: Box, source: Dataset) -> Box:
    """A box as the report has it: 1/256 px off the film's edges, where OHIF would drop it."""
    step, (cols, rows) = 1 / 256, (source.Columns, source.Rows)
    return Box(max(box.x0, step), max(box.y0, step), min(box.x1, cols - step), min(box.y1, rows - step))


@pytest.mark.parametrize(("negative", "title"), [(False, "126000"), (True, "AI_FINDINGS")])
def test_ohif_finds_a_region_in_every_measurement_group(plain: Path, negative: bool, title: str) -> None:
    """It fails on a group without one, and on an Imaging Measurement Report (126000) without groups."""
    ds = build(plain, "sr", negative=negative)
    assert ds.ConceptNameCodeSequence[0].CodeValue == title
    groups: dict[str, list[str]] = {}
    for container in ds.ContentSequence:
        for item in container.get("ContentSequence", []):
            if item.ConceptNameCodeSequence[0].CodeValue == "125007":
                uid = next(each.UID for each in item.ContentSequence if each.ValueType == "UIDREF")
                groups.setdefault(uid, []).extend(each.ValueType for each in item.ContentSequence)
    assert len(groups) == (0 if negative else 2)
    assert all("SCOORD" in kinds for kinds in groups.values())


def test_a_box_group_holds_no_number(plain: Path) -> None:
    """OHIF drops a region whose group holds one."""
    content = hd.sr.ComprehensiveSR.from_dataset(build(plain, "sr")).content
    groups = content.get_planar_roi_measurement_groups()
    assert len(groups) == 2
    for group in groups:
        kinds = [item.ValueType for item in group[0].ContentSequence]
        assert "NUM" not in kinds
        assert kinds.count("SCOORD") == 1
        assert "TEXT" in kinds


@pytest.mark.parametrize(
    ("zone", "laterality", "expected"),
    [
        ("right upper", "", ("Upper zone of lung", "Right")),
        ("left mid", "R", ("Middle zone of lung", "Left")),
        ("left lower", "", ("Lower zone of lung", "Left")),
        ("", "L", ("Lung", "Left")),
        ("", "", (None, None)),
    ],
)
def test_zones_become_coded_anatomy(
    plain: Path, zone: str, laterality: str, expected: tuple[str | None, str | None]
) -> None:
    source = read_source(plain)
    if laterality:
        source.ImageLaterality = laterality
    elif "ImageLaterality" in source:
        del source.ImageLaterality
    ds = sr.build_sr(result_of(source, zones=(zone, zone)), source, identity_of("sr"))
    rows = [row for row in read_sr(ds) if row["box"] is not None]
    assert {(row["site"], row["laterality"]) for row in rows} == {expected}


def test_a_negative_study_says_so_in_every_object(plain: Path, tmp_path: Path) -> None:
    report = build(plain, "sr", negative=True)
    rows = read_sr(report)
    assert [(row["box"], row["present"]) for row in rows] == [(None, False)] * 3
    assert all("below the cutoff" in row["comment"] for row in rows)
    state = build(plain, "gsps", negative=True)
    assert read_gsps(state) == []
    text = state.GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue
    assert text == "No finding reported (AI, not verified)"


def test_a_finding_that_is_not_judged_is_neither_present_nor_absent(plain: Path, tmp_path: Path) -> None:
    source = read_source(plain)
    result = result_of(source, negative=True)
    reason = "AUROC 0.52 (0.35-0.67) on 36 validation films, 7 with it: may be chance"
    unjudged = replace(result, findings=tuple(replace(each, not_judged=reason) for each in result.findings[:1]))
    path = tmp_path / "sr.dcm"
    report = saved(sr.build_sr(unjudged, source, identity_of("sr")), path)
    assert dciodvfy(path) == []
    text = str(report.to_json())
    assert f"Pneumonia: not judged, neither present nor absent; {reason}" in text
    assert sr.NOT_DETECTED.meaning not in text
    assert sr.PROBABILITY.meaning not in text


def test_without_a_probability_words_and_the_reason_stand_in_its_place(plain: Path, tmp_path: Path) -> None:
    source, reason = read_source(plain), "9 validation patients with the finding"
    result = result_of(source)
    none = {"probability": None, "cutoff": None, "no_probability": reason}
    result = replace(result, findings=tuple(replace(each, **none) for each in result.findings))
    path = tmp_path / "sr.dcm"
    report = saved(sr.build_sr(result, source, identity_of("sr")), path)
    assert dciodvfy(path) == []
    assert sr.PROBABILITY.meaning not in str(report.to_json())
    rows = read_sr(report)
    pneumonia, mass, uncoded = rows[2:]
    assert rows[0]["box"] == result.findings[0].boxes[0].box
    assert rows[0]["comment"] == "Pneumonia reported, right upper zone (AI, not verified)"
    assert [row["present"] for row in (pneumonia, mass, uncoded)] == [True, True, False]
    assert pneumonia["comment"] == f"Pneumonia reported (AI, not verified): no probability: {reason}"
    assert mass["comment"].endswith(f": the map holds no localization; no probability: {reason}")
    assert uncoded["comment"].endswith(f" not reported (AI, not verified): below the cutoff; no probability: {reason}")


def test_a_presentation_state_read_back_has_the_results_boxes(film: Path, tmp_path: Path) -> None:
    result = result_of(read_source(film))
    exported = read_gsps(saved(build(film, "gsps"), tmp_path / "pr.dcm"))
    assert [box for box, _ in exported] == [one.box for one in result.findings[0].boxes]  # exactly
    rows = read_sr(build(film, "sr"))
    assert [uid for _, uid in exported] == [row["tracking_uid"] for row in rows if row["box"] is not None]


def test_labels_of_a_presentation_state_are_at_their_boxes(plain: Path) -> None:
    """At a box's upper left corner; without a box near the film's own, by the same share of each side."""
    result = result_of(read_source(plain))
    labels = build(plain, "gsps").GraphicAnnotationSequence[0].TextObjectSequence
    corners = [(found.box.x0, found.box.y0) for found in result.findings[0].boxes]
    assert all(x != pytest.approx(y, abs=0.1) for x, y in [*corners, (result.cols / 40, result.rows / 40)])
    expected = [*corners, (result.cols / 40, result.rows / 40)]
    assert [tuple(label.AnchorPoint) for label in labels] == [pytest.approx(corner) for corner in expected]


@needs_dcmtk
@pytest.mark.parametrize("name", [name for name in ENCODINGS if not name.startswith("sigmoid")])
def test_a_presentation_state_shows_the_film_as_camray_sees_it(name: str, tmp_path: Path) -> None:
    """DCMTK applies it: no grey differs by more than a level and a half of 255. (Its 3.6.7 knows no SIGMOID.)"""
    path, plain, shown = tmp_path / "film.dcm", tmp_path / "plain.dcm", tmp_path / "shown.pgm"
    path.write_bytes(phantom(name))
    saved(build(path, "gsps", negative=True), tmp_path / "pr.dcm")
    ds = pydicom.dcmread(path)
    if ds.file_meta.TransferSyntaxUID.is_compressed:
        ds.decompress(generate_instance_uid=False)
    ds.save_as(plain)
    subprocess.run(
        ["dcmp2pgm", "--pstate", str(tmp_path / "pr.dcm"), str(plain), str(shown)], check=True, capture_output=True
    )
    stored = read_dicom(path, None)
    grey = np.asarray(Image.open(shown), np.float64) / 255
    assert np.abs(grey - to_unit_scale(stored.values, stored.grey)).max() < 1.5 / 255


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": "40000", "WindowWidth": "2000"},  # beside all values
        {"RescaleSlope": "0.00008138", "RescaleIntercept": "-0.25"},  # all values within less than 1
        {"RescaleSlope": "0.33333333333333", "RescaleIntercept": "-142.85714285714"},
    ],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_gsps_useless_window(elements: dict[str, str], photometric: str, tmp_path: Path) -> None:
    path = bare_film(tmp_path / "film.dcm", PhotometricInterpretation=photometric, **elements)
    ds, stored = build(path, "gsps"), read_dicom(path, None)
    window = ds.SoftcopyVOILUTSequence[0]
    assert window.VOILUTFunction == "LINEAR_EXACT"
    values = stored.values * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0))
    unit = np.clip((values - float(window.WindowCenter)) / float(window.WindowWidth) + 0.5, 0, 1)
    displayed = 1 - unit if ds.PresentationLUTShape == "INVERSE" else unit
    assert np.abs(displayed - to_unit_scale(stored.values, stored.grey)).max() < 1e-6


def test_a_capture_holds_the_picture_and_names_its_film(plain: Path, tmp_path: Path) -> None:
    ds = saved(build(plain, "sc"), tmp_path / "sc.dcm")
    assert np.array_equal(ds.pixel_array, PICTURE)
    assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == read_source(plain).SOPInstanceUID


def test_segmentations_read_back_equal_maps_and_boxes(plain: Path, tmp_path: Path) -> None:
    result = result_of(read_source(plain))
    heat = hd.seg.Segmentation.from_dataset(saved(build(plain, "seg-heat"), tmp_path / "heat.dcm"))
    back = heat.get_pixels_by_source_instance([result.image_id], segment_numbers=[1, 2], rescale_fractional=False)[0]
    assert np.array_equal(np.moveaxis(back, -1, 0), np.around(heat_of(result) * 255).astype(np.uint8))
    boxes = hd.seg.Segmentation.from_dataset(saved(build(plain, "seg-boxes"), tmp_path / "boxes.dcm"))
    mask = boxes.get_pixels_by_source_instance([result.image_id], segment_numbers=[1])[0, ..., 0]
    centres = [(r, c) for r in range(result.rows) for c in range(result.cols)]
    inside = {(r, c) for r, c in centres if any(b.box.contains_xy(c + 0.5, r + 0.5) for b in result.findings[0].boxes)}
    assert {(int(r), int(c)) for r, c in np.argwhere(mask)} == inside


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_its_patients_and_says_who_made_it(kind: str, tmp_path: Path) -> None:
    path = bare_film(
        tmp_path / "film.dcm",
        InstitutionName="Canary General",
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Ωmega^Canary^^^",
        StudyDate="20240229",
        PatientComments="Canary",
        OperatorsName="Canary^Op",
    )
    ds = saved(build(path, kind), tmp_path / "object.dcm")
    assert str(ds.PatientName) == "Ωmega^Canary^^^"
    assert (ds.PatientID, ds.StudyDate, ds.StudyInstanceUID) == ("CANARY-7", "20240229", "1.2.826.0.1.3680043.8.498.2")
    assert ds.SeriesInstanceUID != "1.2.826.0.1.3680043.8.498.3"
    for keyword in ("InstitutionName", "OperatorsName"):
        assert keyword not in ds
    assert ds.Manufacturer == "camray"
    assert ds.SoftwareVersions == "0.1.0+3f9a1c2b7d04"
    assert ds.DeviceSerialNumber == "ab" * 32
    assert "AI, not verified" in ds.SeriesDescription
    text = str(ds)
    assert "1.2.826.0.1.3680043.8.498.1" in text  # refers to its film
    if kind in ("sr", "seg-heat", "seg-boxes"):
        assert "ab" * 32 in text
        assert "phantom" in text


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_patient_name_is_quoted_nowhere(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Warnings are errors here, and highdicom's would hold the name."""
    ds = build(bare_film(tmp_path / "film.dcm", PatientName="Canary"), kind)
    assert str(ds.PatientName) == "Canary"
    assert "Canary" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_version_names_the_one_before(kind: str, plain: Path) -> None:
    study = read_source(plain).StudyInstanceUID
    before = ObjectReference("1.2.840.10008.5.1.4.1.1.88.33", "1.2.3.4", "1.2.3", study)
    ds = build(plain, kind, predecessor=before)
    if kind == "sr":
        item = ds.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    else:
        item = ds.ReferencedInstanceSequence[0]
    assert item.ReferencedSOPInstanceUID == "1.2.3.4"
    assert ds.InstanceNumber == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_twice_is_the_same_bytes(kind: str, plain: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        build(plain, kind).save_as(tmp_path / name, enforce_file_format=True)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_the_standard_requires_of_a_patient_is_there_if_empty(tmp_path: Path) -> None:
    path = bare_film(tmp_path / "film.dcm", PatientSex="X", PatientBirthDate="last summer", StudyTime="25:00")
    source = read_source(path)
    assert all(keyword in source for keyword in TYPE_2)
    assert (source.PatientSex, source.PatientBirthDate, source.StudyTime) == ("", "", "")


@pytest.mark.parametrize(
    "elements", [{"StudyInstanceUID": None}, {"StudyInstanceUID": "1.02.x"}, {"SOPInstanceUID": ""}]
)
def test_a_film_that_nothing_can_refer_to_is_refused(elements: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bare = bare_film(tmp_path / "whole.dcm")
        ds = pydicom.dcmread(bare)
        for keyword, value in elements.items():
            if value is None:
                del ds[keyword]
            else:
                setattr(ds, keyword, value)
        ds.save_as(path)
    with pytest.raises(ExportError, match="no object can refer to this film") as caught:
        read_source(path)
    assert "canary" not in str(caught.value).lower()


@needs_dciodvfy
@needs_dcmtk
@pytest.mark.parametrize("negative", [False, True])
def test_validators_find_no_error(film: Path, negative: bool, tmp_path: Path) -> None:
    kinds = [kind for kind in KINDS if not (negative and kind.startswith("seg"))]
    assert_valid(film, kinds, tmp_path, negative)


@needs_dciodvfy
@needs_dcmtk
@pytest.mark.realdata
@pytest.mark.slow
def test_validators_find_no_error_in_objects_of_real_films(real_data: Path, tmp_path: Path) -> None:
    films = sorted((real_data / "dicom_variety").glob("*"))
    films += sorted((real_data / "tb_hemithorax" / "dicom").glob("*"))[:4]
    films += sorted((real_data / "rsna_sample" / "stage_2_train_images").glob("*"))[:2]
    assert len(films) > 15
    for film in films:
        for negative in (False, True):
            kinds = [kind for kind in KINDS if not (negative and kind.startswith("seg"))]
            assert_valid(film, kinds, tmp_path, negative)
        result = result_of(read_source(film))
        rows = read_sr(pydicom.dcmread(tmp_path / "sr.dcm"))
        assert {row["sop_instance_uid"] for row in rows} == {result.image_id}


def assert_valid(film: Path, kinds: list[str], folder: Path, negative: bool) -> None:
    for kind in kinds:
        for predecessor in (None, ObjectReference("1.2.840.10008.5.1.4.1.1.88.33", "1.2.3.4", "1.2.3", "1.2.5")):
            path = folder / f"{kind}.dcm"
            ds = saved(build(film, kind, negative=negative, predecessor=predecessor), path)
            assert dciodvfy(path) == [], (film.name, kind)
        if kind == "sr":
            done = subprocess.run(["dsrdump", str(path)], capture_output=True, text=True, check=False)
            assert (done.returncode, "E:" in done.stderr, "F:" in done.stderr) == (0, False, False), film.name
        if kind == "gsps" and ds.PatientName:  # without a name, which the standard allows, dcmpschk is not content
            done = subprocess.run(["dcmpschk", str(path)], capture_output=True, text=True, check=False)
            assert "Test passed" in done.stdout + done.stderr, film.name


def test_a_box_on_the_last_pixel_stays_inside(plain: Path) -> None:
    source = read_source(plain)
    boxes = [one.box for one in result_of(source).findings[0].boxes]
    assert boxes[1].x1 == source.Columns
    assert boxes[1].y1 == source.Rows
    assert Box(*boxes[1].as_tuple()).clipped(source.Rows, source.Columns) == boxes[1]
