"""Sizes: short modules, few parameters, and no line that the formatter skips."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "pipeline" / "camray"
MAX_LINES, MAX_PARAMETERS = 300, 6


def _number_of_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return len(names[1:] if names[:1] in (["self"], ["cls"]) else names)


def test_modules_are_short() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {str(path.relative_to(PACKAGE)): n for path, n in lines.items() if n > MAX_LINES} == {}


def test_functions_take_few_parameters() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    too_many = [
        f"{path.name}:{node.name}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, kinds) and _number_of_parameters(node) > MAX_PARAMETERS
    ]
    assert too_many == []


def test_the_formatter_lays_out_every_line() -> None:
    skip = "# fmt:" + " skip"
    paths = [path for folder in ("pipeline", "tests", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path.relative_to(ROOT)) for path in paths if skip in path.read_text(encoding="utf-8")] == []
