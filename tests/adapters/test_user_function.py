"""Target functions from a user's file."""

from pathlib import Path

import pytest

from camray.adapters.user_function import read_target
from camray.domain.errors import SettingsError


def test_the_function_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "margin.py"
    path.write_text("def margin(logits):\n    return logits[0] - logits[1]\nnumber = 3\n", encoding="utf-8")
    assert read_target(f"{path}:margin")([5, 3]) == 2
    for name, fault in (("number", "no function"), ("nothing", "no function"), ("not a name", "expected FILE")):
        with pytest.raises(SettingsError, match=fault):
            read_target(f"{path}:{name}")
    path.write_text("1 / 0", encoding="utf-8")
    with pytest.raises(SettingsError, match="fails: ZeroDivisionError"):
        read_target(f"{path}:margin")
    for text in ("margin.py", "nowhere.py:margin", ":"):
        with pytest.raises(SettingsError, match="expected FILE"):
            read_target(text)
