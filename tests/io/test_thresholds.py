"""Thresholds: what is written is read back, to the last bit and key."""

import json
from pathlib import Path

import pytest

from camray.core.imaging.film_range import FilmRange
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.box_thresholds import BoxThreshold, ReportCutoff, Thresholds
from camray.core.probability.calibration import LabelCalibration
from camray.core.probability.promise import Candidate, Promise, PromiseTerms
from camray.domain.errors import PipelineError
from camray.domain.records import ThresholdSource
from camray.io.thresholds import read_thresholds, write_thresholds

FIXED = BoxThreshold(
    "otsu/cam/Mass", "cam", "Mass", "otsu", ThresholdSource.FIXED, BoxRecipe("otsu", 0.0), None, "none", 0
)
CALIBRATED = BoxThreshold(
    "calibrated/cam/Mass",
    "cam",
    "Mass",
    "calibrated",
    ThresholdSource.VALIDATION,
    BoxRecipe("range", 1 / 3, smooth=0.5, prior=0.25),
    "validation",
    "IoU",
    7,
    {"iou_accuracy": 0.4, "hit_rate": 0.6},
)
MAPS = (
    LabelCalibration("Mass", "logistic", 0.5, -1.25, (), "validation", 162, 12, 122, 0.08, "likelihood", "ab12", 0.03),
    LabelCalibration("Cyst", "isotonic", knots=((0.5, -1.0), (2.0, 1 / 3)), prevalence=0.25),
    LabelCalibration("Edema", n=3, reason="too few"),
)
TERMS = PromiseTerms(0.9, 0.5, 0.9)
PROMISES = (
    Promise(
        "Mass",
        TERMS,
        "validation",
        98,
        28,
        0.25,
        0.75,
        (Candidate(0.75, 20, 17), Candidate(0.5, 40, 20)),
        "",
        "",
        1 / 3,
    ),
    Promise("Cyst", PromiseTerms(None, 0.5, 0.95), "validation", 3, 0, no_ppv="too few"),
)
FILMS = FilmRange(
    60, 30, "", ("PA",), (300.0, 500.0), (0.1, 0.3), (0.5, 0.25), (1.0, 2.0), ((1.0, 0.0),), (3.0,), 0.5, 2.0, 1 / 31
)
THRESHOLDS = Thresholds(
    (FIXED, CALIBRATED), (ReportCutoff("Mass", 0.125, None, "Youden", 0),), ("a note",), MAPS, PROMISES, FILMS
)


def test_thresholds_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.json"
    write_thresholds(path, THRESHOLDS)
    assert read_thresholds(path) == THRESHOLDS
    first = path.read_bytes()
    write_thresholds(path, read_thresholds(path))
    assert path.read_bytes() == first
    plain = json.loads(first)["thresholds"]
    assert "reached" not in plain[0]  # no boxes were used
    assert [entry["value"] for entry in plain] == [0.0, 1 / 3]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("thresholds", "source", "guess"),
        ("thresholds", "parameters", {"level": 1}),
        ("thresholds", "n", "many"),
        ("calibrations", "kind", "guess"),
        ("calibrations", "knots", [1]),
        ("calibrations", "prevalence", "many"),
        ("promises", "upper", "high"),
        ("promises", "terms", {"ppv": 0.5}),
        ("promises", "candidates", [[0.5, 1]]),
    ],
)
def test_an_entry_that_cannot_be_is_refused(tmp_path: Path, section: str, key: str, value: object) -> None:
    path = tmp_path / "thresholds.json"
    write_thresholds(path, THRESHOLDS)
    plain = json.loads(path.read_text())
    plain[section][-1][key] = value
    path.write_text(json.dumps(plain))
    with pytest.raises(PipelineError, match="another version"):
        read_thresholds(path)


def test_a_file_of_a_version_that_did_not_calibrate_is_read(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.json"
    write_thresholds(path, THRESHOLDS)
    plain = json.loads(path.read_text())
    del plain["calibrations"], plain["promises"], plain["films"]
    plain["cutoffs"][0]["probability"] = plain["cutoffs"][0].pop("output")
    path.write_text(json.dumps(plain))
    read = read_thresholds(path)
    assert (read.boxes, read.cutoffs, read.calibrations) == (THRESHOLDS.boxes, THRESHOLDS.cutoffs, ())
    assert (read.promises, read.films) == ((), None)
    assert "earlier version" in read.calibration_of("Mass").reason


@pytest.mark.parametrize(("key", "value"), [("centre", ["far"]), ("widths_mm", [1]), ("limit", None), ("views", 3)])
def test_a_film_range_that_cannot_be_is_refused(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "thresholds.json"
    write_thresholds(path, THRESHOLDS)
    plain = json.loads(path.read_text())
    plain["films"][key] = value
    path.write_text(json.dumps(plain))
    with pytest.raises(PipelineError, match="another version"):
        read_thresholds(path)
