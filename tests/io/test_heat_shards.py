"""Shards of heat maps: what float16 holds, and what is refused."""

import numpy as np
import pytest

from camray.domain.errors import CheckpointError, SettingsError
from camray.io.heat_shards import to_float16


def test_heat_that_float16_cannot_hold_is_refused_with_the_remedy() -> None:
    heat = np.full((1, 1, 2, 2), 1e6, np.float32)
    with pytest.raises(SettingsError, match=r"heat_exponents\.cam=-4"):
        to_float16(heat, "cam", 0)
    assert np.allclose(to_float16(heat, "cam", -4).astype(np.float32) * 16, 1e6, rtol=1e-3)
    for bad in (np.nan, np.inf):
        with pytest.raises(CheckpointError, match="not finite"):
            to_float16(np.full((1, 1, 2, 2), bad, np.float32), "cam", 0)
