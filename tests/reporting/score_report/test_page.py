"""The score report as a page: its headline, thresholds and films, and escaped texts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.box_thresholds import BoxThreshold
from camray.core.metrics.bootstrap import Bootstrap
from camray.core.probability.calibration import LabelCalibration
from camray.domain.records import SCORE_COLUMNS, ThresholdSource
from camray.reporting.score_report.page import AboutRun, FilmPicture, SplitReport, report_page
from camray.reporting.score_report.probability_table import probability_table
from camray.reporting.score_report.terms import TERMS
from tests.reporting.hostile_texts import TEXT, assert_escaped
from tests.reporting.page_tables import PageTables

PATIENTS = Bootstrap(1000, 0.95, 1)


def _scores(label: str, method: str = "cam") -> pd.DataFrame:
    rows = [
        ("classifier", label, "auroc", np.nan, "", 0.9, 0.85, 0.95, 40),
        (method, label, "hit_rate", np.nan, "validation", 0.8, 0.7, 0.9, 12),
        ("baseline:whole_image", label, "hit_rate", np.nan, "fixed", 0.5, 0.4, 0.6, 12),
        (method, label, "iou_accuracy", 0.3, "validation", 0.4, 0.2, 0.6, 12),
        (method, label, "iou_accuracy", 0.3, "fixed", 0.3, 0.1, 0.5, 12),
        ("baseline:centre", label, "iou_accuracy", 0.3, "fixed", 0.3, 0.2, 0.4, 12),
        (method, "mean", "mean_iou", np.nan, "fixed", 0.25, np.nan, np.nan, 1),
        (method, label, "wsol/pxap", np.nan, "fixed", 0.5, 0.4, 0.6, 12),
    ]
    return pd.DataFrame([("test", *row) for row in rows], columns=list(SCORE_COLUMNS)).astype(SCORE_COLUMNS)


def _film(label: str, image_id: str = "1.2.3") -> FilmPicture:
    return FilmPicture(label, "best", image_id, 0.456, True, "probability 0.99", b"png")


def test_shortcuts_of_the_audit_are_named_where_there_are_any() -> None:
    page = report_page("name", [], [], PATIENTS, AboutRun(shortcuts=["Mass: border 0.72: try a & b"]))
    assert "<li>Mass: border 0.72: try a &amp; b</li>" in page
    assert "Shortcuts in the films" not in report_page("name", [], [], PATIENTS)


def test_the_learning_curve_is_there_if_there_is_one() -> None:
    page = report_page("name", [], [], PATIENTS, AboutRun(learning=b"png"))
    assert "<h2>Learning curve</h2>" in page
    assert "data:image/png;base64,cG5n" in page
    assert "Learning curve" not in report_page("name", [], [], PATIENTS)


@pytest.mark.parametrize(
    ("bootstrap", "title", "is_warned"),
    [
        (PATIENTS, "95 % intervals by patient", False),
        (replace(PATIENTS, unit="film", confidence=0.9), "90 % intervals by film", True),
        (replace(PATIENTS, resamples=0), "no intervals", False),
    ],
)
def test_the_page_says_what_its_intervals_are(bootstrap: Bootstrap, title: str, is_warned: bool) -> None:
    page = report_page("name", [SplitReport("test", 40, 30, 12, _scores("Mass"), {}, [])], [], bootstrap)
    assert page.count(title) == 2
    assert ("too narrow" in page) == is_warned
    assert ("by patient" in page) == ("by patient" in title)
    assert "40 films of 30 patients" in page


def test_the_headline_compares_with_baselines_in_words_and_signs() -> None:
    page = report_page("name", [SplitReport("test", 40, 30, 12, _scores("Mass"), {}, [])], [], PATIENTS)
    line = PageTables(page).tables[0][1][2]
    assert line == [
        "Mass",
        "0.90|0.85–0.95",
        "–",
        "12",
        "0.80|0.70–0.90",
        "0.50 whole film",
        "▲▲ clearly above",
        "0.40|0.20–0.60",
        "0.30 centre Gaussian",
        "▲ above",
        "0.30|0.10–0.50",
        "–",
    ]
    assert "40 films of 30 patients; 12 films have annotated boxes" in page
    assert "<b>validation</b>: chosen on boxes of the validation split." in page


def test_thresholds_of_findings_chosen_alike_share_a_line() -> None:
    recipe = BoxRecipe("max", 0.2)
    chosen = [
        BoxThreshold(f"{n}", "cam", "Mass", "box_accuracy", ThresholdSource.VALIDATION, recipe, "validation", "c", n)
        for n in (31, 27)
    ]
    fixed = BoxThreshold("f", "cam", "Mass", "fraction_of_max", ThresholdSource.FIXED, recipe, None, "", 0)
    page = report_page("name", [], [*chosen, fixed], replace(PATIENTS, confidence=0.9))
    lines = PageTables(page).tables[0][1]
    assert lines[1:] == [
        ["cam", "box_accuracy", "chosen on boxes of the validation split", "validation", "c", "27–31"],
        ["cam", "fraction_of_max", "without boxes, from image labels or fixed in advance", "", "", ""],
    ]
    assert "Percentile bootstrap: 90 % intervals by patient" in page


def test_films_are_grouped_by_finding() -> None:
    films = [_film("Mass"), _film("Effusion"), _film("Mass", "1.2.4")]
    page = report_page("name", [SplitReport("test", 4, 3, 2, _scores("Mass"), {}, films)], [], PATIENTS)
    assert page.count('<div class="group">') == 2
    assert page.index("1.2.3") < page.index("1.2.4") < page.index("<h4>Effusion</h4>")
    assert "IoU 0.46" in page
    assert "probability 0.99" in page


def test_a_split_without_labels_or_boxes_says_so() -> None:
    empty = _scores("Mass").iloc[:0]
    page = report_page("name", [SplitReport("test", 4, 3, 0, empty, {}, [], protocols=["wsol"])], [], PATIENTS)
    assert "there is nothing to score" in page
    assert PageTables(page).tables == []


def test_texts_from_outside_are_escaped() -> None:
    split = SplitReport(
        TEXT, 1, 1, 1, _scores(TEXT, TEXT), {TEXT: b"png"}, [_film(TEXT, TEXT)], {TEXT: b"png"}, ["wsol"]
    )
    recipe = BoxRecipe("max", 0.2)
    threshold = BoxThreshold(TEXT, TEXT, TEXT, TEXT, ThresholdSource.VALIDATION, recipe, TEXT, TEXT, 1)
    page = report_page(TEXT, [split], [threshold], PATIENTS)
    assert page.count("{{ 7 * 7 }}") > 15
    assert_escaped(page)


def test_probabilities_say_how_they_are_calibrated_and_how_right_they_are() -> None:
    names = {"ece_uncalibrated": ("fixed", 0.21), "ece": ("validation", 0.04), "brier": ("validation", 0.12)}
    rows = [
        ("test", "classifier", "Mass", name, np.nan, source, value, value, value, 40)
        for name, (source, value) in names.items()
    ]
    scores = pd.concat([_scores("Mass"), pd.DataFrame(rows, columns=list(SCORE_COLUMNS))], ignore_index=True)
    maps = [
        LabelCalibration("Mass", "logistic", split="validation", n=162, positives=12, prevalence=0.08125),
        LabelCalibration("Cyst & co", "none", reason="9 validation patients with the finding"),
    ]
    mass, cyst = probability_table(scores, maps)
    assert mass.calibration == "temperature and shift; 162 validation films, 12 with it; prevalence 0.0813"
    assert cyst.calibration == "no probability: 9 validation patients with the finding"
    moved, _ = probability_table(scores, [maps[0].moved_to(0.02), maps[1]])
    assert moved.calibration.endswith("prevalence 0.0813, moved to 0.02")
    split = SplitReport("test", 4, 3, 2, scores, {}, [])
    page = report_page("name", [replace(split, probabilities=(mass, cyst))], [], PATIENTS)
    table = page.split("<h3>Probabilities</h3>")[1].split("</table>")[0]
    assert "Cyst &amp; co" in table
    assert [table.index(text) for text in ("0.21", "0.04", "0.12")] == sorted(
        table.index(text) for text in ("0.21", "0.04", "0.12")
    )
    assert "<h3>Probabilities</h3>" not in report_page("name", [split], [], PATIENTS)


def test_the_head_and_the_terms_are_on_the_page() -> None:
    split = SplitReport("test", 40, 30, 12, _scores("Mass"), {}, [])
    page = report_page("name", [split], [], PATIENTS, AboutRun([("Data", "a <b> manifest"), ("Command", "camray run")]))
    assert "<dt>Data</dt><dd>a &lt;b&gt; manifest</dd>" in page
    assert page.index("<dt>Data</dt>") < page.index("<dt>Command</dt>") < page.index("<h2>")
    assert f'<abbr title="{TERMS["IoU"]}">IoU</abbr>' in page
    assert '<dl class="head">' not in report_page("name", [split], [], PATIENTS)
