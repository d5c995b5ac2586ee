"""Targets of the review page: 44 CSS px on touch devices, 24 px otherwise (WCAG 2.2, 2.5.5 and 2.5.8)."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.page_reader import Reader, large_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
# visible controls that are smaller than a size, each in the label that a press on it also hits
TOO_SMALL = """
const least = arguments[0];
return [...document.querySelectorAll('button, select, input, textarea, [role=option], a[href], summary')]
  .filter((e) => e.checkVisibility({ visibilityProperty: true }))
  .map((e) => (e.type === 'checkbox' ? e.closest('label') : e))
  .map((e) => [e, e.getBoundingClientRect()])
  .filter(([e, at]) => at.width < least - 0.01 || at.height < least - 0.01)
  .map(([e, at]) => (e.id || e.className || e.textContent) + ': ' + at.width.toFixed(1) + ' x ' + at.height.toFixed(1));
"""
HANDLES = """
return [...document.querySelectorAll('#marks .target')].map((e) => e.getBoundingClientRect())
  .map((at) => [at.x + at.width / 2, at.y + at.height / 2, at.width, at.height]);
"""
WIDTHS = (1440, 1024, 390)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return large_page(tmp_path / "page", 3)


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=[44, 24], ids=["fingers", "mouse"])
def least(request: pytest.FixtureRequest, browser: Any, width: int) -> int:
    """The least side of a target on this device."""
    is_touch = request.param == 44
    height = 844 if width == 390 else 900
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_touch},
    )
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": is_touch, "maxTouchPoints": 5})
    return int(request.param)


def test_every_control_is_large_enough(browser: Any, index: Path, least: int) -> None:
    browser.get(index.as_uri())
    assert browser.execute_script(TOO_SMALL, least) == []  # the first dialog, and what is behind it
    reader = Reader(browser, index).sit_down("Dr A")
    assert reader.js("return matchMedia('(pointer: coarse)').matches") == (least == 44)
    room, seen = reader.js(
        "return [document.getElementById('viewport').clientHeight, ['list-toggle', 'not-verified', 'export']"
        "  .every((id) => document.getElementById(id).getBoundingClientRect().right <= innerWidth)]"
    )
    assert room >= 300  # for the film
    assert seen
    reader.press("n", "n")
    assert reader.js(TOO_SMALL, least) == []
    reader.js("CAMRAY.openList(); document.getElementById('unsaved').hidden = false;")
    assert reader.js(TOO_SMALL, least) == []
    reader.js("CAMRAY.closeList(); CAMRAY.keys.help();")
    assert reader.js(TOO_SMALL, least) == []
    reader.js("document.getElementById('help-dialog').close(); CAMRAY.message('Import', 'Three films imported.');")
    assert reader.js(TOO_SMALL, least) == []
    reader.js("document.getElementById('message-dialog').close()")
    reader.sit_down("Dr B", blind=True)
    assert reader.js(TOO_SMALL, least) == []


@pytest.mark.parametrize("side", [12, 60, 400], ids=["tiny", "small", "large"])
@pytest.mark.parametrize("width", [1024], indirect=True)
def test_handles_of_a_box_are_large_enough(browser: Any, index: Path, least: int, side: int) -> None:
    reader = Reader(browser, index).sit_down("Dr C")
    reader.js("CAMRAY.viewer.zoom(arguments[0] / CAMRAY.viewer.view.scale)", 1)  # native px are those of the screen
    film = reader.film
    start = [256 - side / 2, 256 - side / 2, 256 + side / 2, 256 + side / 2]
    label = reader.js("return CAMRAY.run.labels[CAMRAY.label]")
    reader.js("CAMRAY.marks.keep(CAMRAY.label, [arguments[0]])", start)
    reader.js("CAMRAY.selected = 0; CAMRAY.marks.draw();")
    targets = reader.js(HANDLES)
    assert len(targets) == (8 if side >= 2 * least else 4)
    assert all(min(target[2:]) >= least - 0.01 for target in targets)
    centres = [target[:2] for target in targets]
    apart = [max(abs(a[0] - b[0]), abs(a[1] - b[1])) for i, a in enumerate(centres) for b in centres[:i]]
    assert min(apart) >= least / 2  # no target hides another
    # a press near the outer edge of each corner's target resizes the box, one in the middle of the box moves it
    for sign in (-1, 1):
        reader.js("CAMRAY.marks.keep(CAMRAY.label, [arguments[0]]); CAMRAY.selected = 0;", start)
        corner = 256 + sign * side / 2
        grip = corner + sign * (least / 2 - 2)
        _drag(reader, least == 44, (grip, grip), (grip + sign * 10, grip + sign * 10))
        (box,) = reader.finding(film, label)["boxes"]
        assert [box[0 if sign < 0 else 2], box[1 if sign < 0 else 3]] == pytest.approx([corner + sign * 10] * 2, abs=1)
    reader.js("CAMRAY.marks.keep(CAMRAY.label, [arguments[0]]); CAMRAY.selected = -1; CAMRAY.marks.draw();", start)
    near = 256 if side >= least else 256 + least / 2 - 2  # beside a tiny box: still on it
    _drag(reader, least == 44, (near, near), (near + 10, near))
    (box,) = reader.finding(film, label)["boxes"]
    assert box == pytest.approx([start[0] + 10, start[1], start[2] + 10, start[3]], abs=1)


def _drag(reader: Reader, is_touch: bool, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one native point to another, with a finger or a mouse."""
    at = [
        reader.js(
            "const [x, y] = CAMRAY.viewer.toScreen(arguments[0], arguments[1]);"
            "const port = document.getElementById('viewport').getBoundingClientRect(); return [x + port.x, y + port.y]",
            *point,
        )
        for point in (start, end)
    ]
    if not is_touch:
        for kind, (x, y) in zip(("mousePressed", "mouseMoved", "mouseReleased"), (at[0], at[1], at[1]), strict=True):
            reader.browser.execute_cdp_cmd(
                "Input.dispatchMouseEvent",
                {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1},
            )
        return
    for kind, points in (("touchStart", at[:1]), ("touchMove", at[1:]), ("touchEnd", [])):
        reader.browser.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
        )
