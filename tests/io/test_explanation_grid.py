"""Junk in ``grid.json`` is a message that names the file."""

import json
from pathlib import Path
from typing import Any

import pytest

from camray.domain.errors import PipelineError
from camray.io.explanation_grid import read_grid

GRID = {
    "rows": 1,
    "cols": 1,
    "feature_rows": 1,
    "feature_cols": 1,
    "labels": ["a"],
    "methods": ["cam"],
    "heat_exponents": {"cam": 0},
}


@pytest.mark.parametrize("text", ["", "null", "[]", "7", "{}", '"text"', "[" * 9999])
def test_junk_is_a_message(tmp_path: Path, text: str) -> None:
    path = tmp_path / "grid.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError, match=r"grid\.json: "):
        read_grid(path)


@pytest.mark.parametrize("change", [{"rows": float("inf")}, {"rows": None}, {"labels": 7}, {"heat_exponents": []}])
def test_a_value_of_another_kind_is_a_message(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "grid.json"
    path.write_text(json.dumps({**GRID, **change}), encoding="utf-8")
    with pytest.raises(PipelineError, match=r"grid\.json: "):
        read_grid(path)
