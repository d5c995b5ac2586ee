"""A presentation state's VOI transform shows a film as camray's own picture does."""

from dataclasses import replace

import numpy as np
import pytest

from camray.core.imaging.grayscale import to_unit_scale
from camray.core.imaging.voi import display_voi
from camray.domain.films import GreyScale, LookupTable, VoiWindow

RAMP = np.arange(3500, dtype=np.uint16).reshape(50, 70)
DARK_LUT = LookupTable(0, np.zeros(4096, np.uint16), 12)
CASES = {
    "window of the header": (RAMP, GreyScale(windows=(VoiWindow(1500, 2000),))),
    "no window": (RAMP, GreyScale()),
    "window beside all values": (RAMP, GreyScale(windows=(VoiWindow(40000, 2000),))),
    "window below all values": (RAMP, GreyScale(windows=(VoiWindow(-40000, 2000, "SIGMOID"),))),
    "window that shows next to nothing": (RAMP, GreyScale(windows=(VoiWindow(1e9, 2e9, "LINEAR_EXACT"),))),
    "sigmoid far above": (RAMP, GreyScale(windows=(VoiWindow(60000, 9000, "SIGMOID"),))),
    "a table that is dark throughout": (RAMP, GreyScale(voi_luts=(DARK_LUT,))),
    "window narrower than 1": (RAMP, GreyScale(windows=(VoiWindow(1500, 0.5),))),
    "values that span less than 1": (RAMP, GreyScale(slope=1 / 4096, intercept=-0.25)),
    "falling rescale": (RAMP, GreyScale(slope=-2.0, intercept=100.0)),
    "padding outside the window": (RAMP, GreyScale(padding=(3000, 3499), windows=(VoiWindow(3400, 100),))),
    "one level": (np.full((4, 6), 7, np.uint8), GreyScale()),
}


def _displayed(stored: np.ndarray, grey: GreyScale) -> np.ndarray:
    """Grey that a viewer shows: the modality transform, the returned VOI transform (PS3.3 C.11.2), the presentation."""
    values, voi = stored * grey.slope + grey.intercept, display_voi(stored, grey)
    assert isinstance(voi, VoiWindow)
    assert voi.is_valid
    exact = voi.function == "LINEAR_EXACT"
    centre, width = (voi.centre, voi.width) if exact else (voi.centre - 0.5, voi.width - 1)
    unit = np.clip((values - centre) / width + 0.5, 0, 1)
    return 1 - unit if grey.is_inverted else unit


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_viewer_shows_the_film_as_camray_does(name: str, photometric: str) -> None:
    stored, grey = CASES[name]
    grey = replace(grey, photometric=photometric)
    film = np.full(stored.shape, True) if grey.padding is None else (stored < grey.padding[0])
    difference = np.abs(_displayed(stored, grey) - to_unit_scale(stored, grey))
    assert difference[film].max() < 1e-6


def test_a_usable_table_is_kept() -> None:
    lut = LookupTable(0, np.arange(4096, dtype=np.uint16), 12)
    assert display_voi(RAMP, GreyScale(voi_luts=(lut,), windows=(VoiWindow(1500, 2000),))) is lut


@pytest.mark.parametrize(
    ("grey", "expected"),
    [
        (GreyScale(windows=(VoiWindow(5, 0), VoiWindow(40, 80))), VoiWindow(40, 80)),
        (GreyScale(slope=2.0, intercept=1.0), VoiWindow(100.0, 198.0, "LINEAR_EXACT")),
        (GreyScale(padding=(0, 0)), VoiWindow(50.0, 98.0, "LINEAR_EXACT")),
    ],
)
def test_windows_by_hand(grey: GreyScale, expected: VoiWindow) -> None:
    """0 to 99: with 100 values the 0.5 percentile is the lowest, and the 99.5 percentile the highest."""
    assert display_voi(np.arange(100).reshape(10, 10), grey) == expected
