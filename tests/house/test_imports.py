"""Every import contract of pyproject.toml catches a planted violation, on a small tree with the same floors."""

import re
import tomllib
from collections.abc import Iterator
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads(PYPROJECT)["tool"]["importlinter"]["contracts"]
FLOORS = CONTRACTS[0]["layers"]
Violation = tuple[str, str, str]  # contract, importing module, imported module


def _members(module: str) -> list[str]:
    """Return the modules of the small tree that a contract's entry stands for."""
    return [module.replace("*", name) for name in ("first", "second")] if module.endswith("*") else [module]


def _layer_violations(contract: dict[str, Any]) -> Iterator[tuple[str, str]]:
    layers = [re.split(r"\s*\|\s*", layer) for layer in contract["layers"]]
    for higher, lower in combinations(layers, 2):
        yield from product(lower, higher)
    for layer in layers:
        yield from permutations(layer, 2)


def _violations(contract: dict[str, Any]) -> Iterator[tuple[str, str]]:
    match contract["type"]:
        case "layers":
            yield from _layer_violations(contract)
        case "independence":
            yield from permutations([name for module in contract["modules"] for name in _members(module)], 2)
        case "forbidden":
            yield from product(contract["source_modules"], contract["forbidden_modules"])
        case other:
            raise ValueError(f"a contract of type {other!r} needs planted violations of its own")


VIOLATIONS: list[Violation] = [(each["name"], *pair) for each in CONTRACTS for pair in _violations(each)]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package for every module that a contract names, under another name than the installed package's."""
    tables = PYPROJECT[PYPROJECT.index("[tool.importlinter]") :]
    (tmp_path / "pyproject.toml").write_text(re.sub(r"\bcamray\b", "planted", tables), encoding="utf-8")
    for module in {name for _, *pair in VIOLATIONS for name in pair if name.startswith("camray.")}:
        folder = tmp_path.joinpath("planted", *module.split(".")[1:])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "part.py").touch()
    for folder in [path for path in (tmp_path / "planted", *(tmp_path / "planted").rglob("*")) if path.is_dir()]:
        (folder / "__init__.py").touch()
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)  # it would disable the loggers of later tests
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "planted"


def _plant(tree: Path, importer: str, imported: str) -> None:
    target = f"planted.{imported.removeprefix('camray.')}.part" if imported.startswith("camray.") else imported
    with tree.joinpath(*importer.split(".")[1:], "part.py").open("a", encoding="utf-8") as part:
        part.write(f"import {target}\n")


def _broken(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Lint the small tree; return the names of the contracts that it breaks."""
    lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True)
    report = " ".join(capsys.readouterr().out.split())
    verdicts = {each["name"]: re.search(rf"{re.escape(each['name'])} (KEPT|BROKEN)", report) for each in CONTRACTS}
    assert all(verdicts.values()), report
    return {name for name, verdict in verdicts.items() if verdict is not None and verdict[1] == "BROKEN"}


def test_the_tree_without_a_violation_keeps_every_contract(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    floors = [floor.split(" | ")[0] for floor in FLOORS]
    for importer, imported in combinations(floors, 2):  # downwards, floors skipped too
        _plant(tree, importer, imported)
    _plant(tree, "camray.stages.first", "camray.core")
    assert _broken(capsys) == set()


@pytest.mark.parametrize(("contract", "importer", "imported"), VIOLATIONS)
def test_a_planted_violation_is_caught(
    contract: str, importer: str, imported: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _plant(tree, importer, imported)
    assert contract in _broken(capsys)


def test_every_contract_has_a_violation_and_every_module_a_floor() -> None:
    assert {name for name, *_ in VIOLATIONS} == {each["name"] for each in CONTRACTS}
    floors = {name.removeprefix("camray.") for floor in FLOORS for name in floor.split(" | ")}
    package = ROOT / "pipeline" / "camray"
    modules = {path.stem for path in package.iterdir() if path.suffix == ".py"} - {"__init__", "__main__"}
    assert floors == modules | {path.parent.name for path in package.glob("*/__init__.py")}
