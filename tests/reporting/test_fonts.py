"""Names in scripts that the base font lacks: drawn with an installed font, else replaced, with one note."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager
from PIL import Image, ImageDraw

from camray.domain.labels import Code
from camray.domain.records import SCORE_COLUMNS
from camray.reporting import fonts
from camray.reporting.contact_sheet import Panel, sheet
from camray.reporting.overlays import draw_overlay
from camray.reporting.picture_text import draw_text, text_width, wrapped
from camray.reporting.score_report.charts import forest_chart
from camray.reporting.score_report.curves import Curve, curve_chart
from camray.reporting.shortcut_audit_charts import probe_chart

KOREAN, CHINESE, PRIVATE = "폐렴", "胸腔積液", "\ue0f0\ue0f1"


def font_with(letters: str, path: Path) -> Path:
    """Write a font whose glyphs are full squares."""
    names = [".notdef", *(f"glyph{number}" for number in range(len(letters)))]
    pen = TTGlyphPen(None)
    for step, point in enumerate(((0, 0), (0, 800), (900, 800), (900, 0))):
        (pen.lineTo if step else pen.moveTo)(point)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(dict(zip(map(ord, letters), names[1:], strict=True)))
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWeightClass=400)
    builder.setupPost()
    builder.save(path)
    return path


def _forget() -> None:
    for cached in (fonts._covering, fonts._entries, fonts._has_glyphs):
        cached.cache_clear()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files that a search of the system finds, in place of this machine's."""
    files: list[str] = []
    own = [entry for entry in fontManager.ttflist if "matplotlib" in str(entry.fname)]
    monkeypatch.setattr(fontManager, "ttflist", own)
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: files)
    _forget()
    yield files
    _forget()


@pytest.mark.parametrize("name", [KOREAN, CHINESE])
def test_a_font_installed_later_is_found_without_matplotlibs_list(
    name: str, installed: list[str], tmp_path: Path
) -> None:
    path = str(font_with(name, tmp_path / "squares.ttf"))
    installed += [str(tmp_path / "gone.ttf"), path]
    assert fonts.letter_fonts(f"{name} 0.91") == dict.fromkeys(name, path)
    assert fonts.families_for(name) == ["DejaVu Sans", "Squares"]
    assert fonts.drawable_name(name, Code("1", "SCT", "Pneumonia")) == name


def test_letters_may_come_from_several_fonts(installed: list[str], tmp_path: Path) -> None:
    first, second = (str(font_with(name, tmp_path / f"{number}.ttf")) for number, name in enumerate((KOREAN, CHINESE)))
    installed += [first, second]
    assert fonts.letter_fonts(KOREAN + CHINESE) == dict.fromkeys(KOREAN, first) | dict.fromkeys(CHINESE, second)


def test_without_a_font_the_meaning_stands_in_and_a_package_is_named(installed: list[str]) -> None:
    assert fonts.letter_fonts(KOREAN) is None
    assert fonts.families_for(KOREAN) is None
    assert fonts.drawable_name(KOREAN, Code("1", "SCT", "Pneumonia")) == "Pneumonia"
    assert fonts.drawable_name(KOREAN, Code("FINDING_AB12CD", "99CAMRAY", KOREAN)) == "FINDING_AB12CD"
    assert fonts.packages_for([KOREAN, "ひらがな"]) == "fonts-noto-cjk"
    assert fonts.packages_for([KOREAN, "ভাঙা"]) == "fonts-noto-cjk, fonts-noto-core"


def test_text_of_two_fonts_is_drawn_and_measured(installed: list[str], tmp_path: Path) -> None:
    """Squares of 18 x 16 px, not the base font's empty boxes."""
    installed.append(str(font_with(KOREAN, tmp_path / "squares.ttf")))
    picture = Image.new("L", (100, 30))
    draw_text(ImageDraw.Draw(picture), (10, 4), KOREAN, 255, 20)  # type: ignore[arg-type]
    inked = np.argwhere(np.asarray(picture) > 200)
    assert (*inked.min(axis=0), *(inked.max(axis=0) + 1)) == (4, 10, 20, 48)
    assert text_width(f"a{KOREAN}b", 20) == pytest.approx(40 + text_width("ab", 20), abs=1)


@pytest.mark.parametrize("text", ["one two three four", "x" * 40, f"{KOREAN} " * 9])
def test_wrapped_lines_fit_and_lose_nothing(text: str) -> None:
    lines = wrapped(text, 16, 100)
    assert all(text_width(line, 16) <= 100 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def _grey_of(png: bytes | None) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png or b"")).convert("L"))


def _overlay(name: str) -> np.ndarray:
    return 255 - draw_overlay(np.zeros((40, 30), np.float32), None, [], [], name)[..., 0]


def _sheet(name: str) -> np.ndarray:
    return 255 - sheet([Panel(np.zeros((40, 90, 3), np.uint8), name)], 1)[..., 0]


def _forest(name: str) -> np.ndarray:
    rows = [("test", "cam", label, "hit_rate", np.nan, "fixed", 0.5, 0.4, 0.6, 9) for label in (name, "mean")]
    table = pd.DataFrame(rows, columns=list(SCORE_COLUMNS)).astype(SCORE_COLUMNS)
    return _grey_of(forest_chart(table, ["cam"], "hit_rate", None, "title"))


def _curves(name: str) -> np.ndarray:
    return _grey_of(curve_chart([Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0]), name)], "title", "x", "y"))


def _audit(name: str) -> np.ndarray:
    return _grey_of(probe_chart([{"auc": 0.5, "warning": False, "label": name, "features": "tags"}]))


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("draw", [_overlay, _sheet, _forest, _curves, _audit])
def test_names_in_pictures_and_charts_are_no_boxes(
    draw: Callable[[str], np.ndarray], installed: list[str], tmp_path: Path
) -> None:
    """Squares are full and the missing-glyph box is an outline: more of the picture is ink."""
    boxes = draw(KOREAN)
    installed.append(str(font_with(KOREAN, tmp_path / "squares.ttf")))
    _forget()
    assert (draw(KOREAN) < 100).sum() > (boxes < 100).sum() + 50


def test_two_findings_are_never_drawn_under_one_name(installed: list[str]) -> None:
    opacity = Code("112001", "DCM", "Opacity")
    codes = {KOREAN: opacity, CHINESE: Code("7", "99CAMRAY", "Opacity"), "Mass": Code("1", "SCT", "Mass")}
    assert fonts.drawable_names(codes) == {KOREAN: "112001", CHINESE: "7", "Mass": "Mass"}
    assert "'폐렴'" in fonts.font_note([KOREAN, "Mass"])
    assert "fonts-noto-cjk" in fonts.font_note([KOREAN, "Mass"])
    assert fonts.font_note(["Mass"]) == ""
