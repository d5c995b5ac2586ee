"""Captures: heat, boxes and proportions where they belong, one colour per finding, letters legible at every size."""

import numpy as np
import pytest
from PIL import ImageDraw

from camray.domain.geometry import Box, GridTransform
from camray.reporting import secondary_capture
from camray.reporting.captured_film import (
    FINDING_RGB,
    CapturedFilm,
    CapturedFinding,
    EdgeMarkers,
    colours_for,
    edge_markers,
)
from camray.reporting.secondary_capture import display_shape, draw_capture, heat_on_film

SHAPE = (400, 500)
NO_MARKERS = EdgeMarkers()


def _film(shape: tuple[int, int] = SHAPE, grey: float = 0.5, **more: object) -> CapturedFilm:
    return CapturedFilm(np.full(shape, grey, np.float32), more.pop("markers", NO_MARKERS), **more)  # type: ignore[arg-type]


def _finding(name: str, *boxes: Box, rgb: tuple[int, int, int] = FINDING_RGB[0], **more: object) -> CapturedFinding:
    return CapturedFinding(name, "0.80", "(AI)", rgb, more.get("heat01"), boxes)  # type: ignore[arg-type]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, tuple[int, int]]]:
    """Text, size and place of all that a capture writes."""
    texts: list[tuple[str, int, tuple[int, int]]] = []
    draw = secondary_capture.draw_text

    def note(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, rgb: object, size: int, **more: int) -> None:
        texts.append((text, size, at))
        draw(pen, at, text, rgb, size, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(secondary_capture, "draw_text", note)
    return texts


def _touched(names: list[str], box: Box) -> int:
    """Count the film's pixels that frames and names of boxes at one place take."""
    drawn = draw_capture(_film(), [_finding(name, box) for name in names], SHAPE)
    return int((drawn[: SHAPE[0], : SHAPE[1]] != drawn[390, 490]).any(axis=2).sum())


def test_names_of_boxes_at_one_corner_do_not_cover_one_another() -> None:
    box, name = Box(150, 200, 300, 320), "Pleural effusion"
    one, three = (_touched(names, box) for names in ([name], [name] * 3))
    frame = 2 * 2 * (150 + 120)
    assert three - one > 1.6 * (one - frame)  # two more, but for where they cross the frame


@pytest.mark.parametrize("shape", [(64, 64), (100, 2000), (2500, 2048), (900, 90)])
@pytest.mark.parametrize("longest", [256, 1024, 4096])
def test_letters_are_legible_at_every_size(
    shape: tuple[int, int], longest: int, written: list[tuple[str, int, tuple[int, int]]]
) -> None:
    """Also where names are long and boxes are many; names are cut, their probability is not."""
    boxes = [Box(0, 0, 20, 20), Box(shape[1] - 20, shape[0] - 20, shape[1], shape[0]), Box(3, 3, 30, 30)]
    findings = [_finding(name, *boxes) for name in ("Mass", "Pleural thickening with plaques " * 3, "X" * 99)]
    film = _film(shape, markers=edge_markers(["L", "F"], ""), lines=("View PA",), col_spacing_mm=0.5)
    display = display_shape(shape, 1.0, longest)
    drawn = draw_capture(film, findings, display)
    assert min(size for _, size, _ in written) >= 16
    assert sum(text.endswith(" 0.80") for text, _, _ in written) >= 9
    assert all(0 <= left < drawn.shape[1] and 0 <= top < drawn.shape[0] for _, _, (left, top) in written)
    joined = " ".join(text for text, _, _ in written)
    assert "View PA" in joined
    assert "AI, not verified" in joined
    assert joined.replace(" ", "").count("X" * 99) == 1  # whole in the legend


def test_a_finding_has_one_colour_in_frame_and_legend_and_others_have_others() -> None:
    colours = colours_for(["a", "b", "c"], ["a", "c"])
    assert colours == {"a": FINDING_RGB[0], "c": FINDING_RGB[2]}  # the same on every film
    findings = [
        _finding("a", Box(10, 100, 60, 160), rgb=colours["a"]),
        _finding("c", Box(300, 200, 400, 300), rgb=colours["c"]),
    ]
    drawn = draw_capture(_film(), findings, SHAPE)
    for finding, (x, y) in zip(findings, ((10, 130), (300, 250)), strict=True):
        assert tuple(drawn[y, x]) == finding.rgb
        assert (drawn[SHAPE[0] :] == finding.rgb).all(axis=2).any()
    many = [str(number) for number in range(14)]
    assert len(set(colours_for(many, many[5:11]).values())) == 6
    assert len(colours_for(many, many)) == 14


def test_heat_has_the_findings_colour_and_its_strength() -> None:
    heat = np.zeros(SHAPE, np.float32)
    heat[:, 100:200], heat[:, 200:300] = 1.0, 0.5
    drawn = draw_capture(_film(), [_finding("a", heat01=heat, rgb=(240, 228, 66))], SHAPE).astype(int)
    plain, strong, weak = drawn[200, 50], drawn[200, 150], drawn[200, 250]
    assert np.array_equal(strong, np.rint(0.4 * 127.5 + 0.6 * np.array((240, 228, 66))))
    assert np.allclose(weak - plain, (strong - plain) / 2, atol=1)


@pytest.mark.parametrize(
    ("orientation", "laterality", "expected"),
    [
        (["L", "F"], "", EdgeMarkers("R", "L")),
        (["R", "F"], "", EdgeMarkers("L", "R")),  # stored mirrored
        (["P", "F"], "L", EdgeMarkers("A", "P")),
        (["L", "H"], "", EdgeMarkers("R", "L", "F", "H")),  # upside down
        (["LA", "FP"], "", EdgeMarkers("R", "L")),
        ([], "R", EdgeMarkers(top="R")),
        ([], "", EdgeMarkers()),
        (["x", "F"], "", EdgeMarkers()),
    ],
)
def test_markers_say_what_the_header_says(orientation: list[str], laterality: str, expected: EdgeMarkers) -> None:
    assert edge_markers(orientation, laterality) == expected


def test_markers_are_at_their_edges(written: list[tuple[str, int, tuple[int, int]]]) -> None:
    draw_capture(_film(markers=EdgeMarkers("R", "L", "H", "F")), [], SHAPE)
    places = {text: at for text, _, at in written}
    assert places["R"][0] < 30
    assert places["L"][0] > 460
    assert places["H"][1] < 30
    assert 350 < places["F"][1] < 400


def _value_at(raw: np.ndarray, row: float, col: float) -> float:
    """Interpolate between the four nearest cells, those of the border repeated outwards; plain."""
    row, col = min(max(row, 0), raw.shape[0] - 1), min(max(col, 0), raw.shape[1] - 1)
    r, c = int(row), int(col)
    below, right = min(r + 1, raw.shape[0] - 1), min(c + 1, raw.shape[1] - 1)
    upper = raw[r, c] * (1 - (col - c)) + raw[r, right] * (col - c)
    lower = raw[below, c] * (1 - (col - c)) + raw[below, right] * (col - c)
    return float(upper * (1 - (row - r)) + lower * (row - r))


def test_heat_is_sampled_through_both_axes_of_the_transform() -> None:
    """A film of 60 x 40 px on 18 of 40 rows and 16 of 20 columns of the model grid, whose cells are 8 x 4 px."""
    raw = np.random.default_rng(4).normal(size=(5, 5)).astype(np.float32)
    transform = GridTransform(scale_x=0.4, scale_y=0.3, offset_x=1.0, offset_y=9.0)
    drawn = heat_on_film(raw, transform, (40, 20), (60, 40), (30, 10))
    for row in range(30):
        for col in range(10):
            y_model, x_model = (row + 0.5) * 2 * 0.3 + 9.0, (col + 0.5) * 4 * 0.4 + 1.0
            expected = _value_at(raw, y_model / 8 - 0.5, x_model / 4 - 0.5)
            assert drawn[row, col] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("native", "aspect", "longest", "expected"),
    [
        ((800, 1600), 1.0, 2000, (800, 1600)),
        ((800, 1600), 2.0, 2000, (1600, 1600)),  # pixels twice as high as wide: rows are doubled
        ((300, 600), 0.5, 2000, (300, 1200)),  # twice as wide: columns are
        ((100, 200), 0.5, 200, (50, 200)),
        ((300, 200), 2.0, 150, (150, 50)),
        ((64, 64), 1.0, 1024, (640, 640)),  # enlarged
        ((64, 512), 1.0, 4096, (256, 2048)),
        ((64, 64), 1.0, 256, (256, 256)),
    ],
)
def test_a_film_is_shown_in_true_proportions(
    native: tuple[int, int], aspect: float, longest: int, expected: tuple[int, int]
) -> None:
    assert display_shape(native, aspect, longest) == expected


def test_boxes_are_scaled_on_each_axis_of_its_own() -> None:
    """100 x 50 px of a film shown on 200 x 300; the name above has the colour at its left."""
    drawn = draw_capture(_film((100, 50), 0.2), [_finding("", Box(10, 30, 40, 80))], (200, 300))
    frame = np.argwhere((drawn[60:200, :300] == FINDING_RGB[0]).all(axis=2)) + np.array((60, 0))
    assert (*frame.min(axis=0), *(frame.max(axis=0) + 1)) == (60, 60, 160, 240)
