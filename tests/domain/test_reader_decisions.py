"""A decision that contradicts itself is none."""

import pytest

from camray.domain.geometry import Box
from camray.domain.reader_decisions import Decision, Phase


def test_a_decision_holds_together() -> None:
    assert Decision("A", "1", "Mass", "1", (Box(0, 0, 1, 1),)).phase is Phase.FINAL
    with pytest.raises(ValueError, match="needs a reader"):
        Decision("", "1", "Mass", "1")
    with pytest.raises(ValueError, match="'yes'"):
        Decision("A", "1", "Mass", "yes")
    with pytest.raises(ValueError, match="absent has boxes"):
        Decision("A", "1", "Mass", "0", (Box(0, 0, 1, 1),))
