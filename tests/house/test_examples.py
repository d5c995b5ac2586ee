"""The examples in docstrings run and give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"
WITH_EXAMPLES = [
    ".".join(path.relative_to(PIPELINE).with_suffix("").parts)
    for path in sorted((PIPELINE / "camray").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_give_what_they_say(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert failed == 0, capsys.readouterr().out
    assert tried > 0, f"{module}: its examples are in no docstring"
