"""Each example of a wrong result has a test under the name of its kind."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


def test_every_case_has_a_test_of_its_name(cases: Path) -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in TESTS.rglob("test_*.py")]
    names = [node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    kinds = sorted(path.stem for path in cases.iterdir() if path.name[0] not in "._")
    missing = [kind for kind in kinds if not any(name.startswith(f"test_{kind}") for name in names)]
    if missing:
        pytest.fail(f"no test begins with test_ and one of these names of cases: {', '.join(missing)}")
