"""The tree: packages without code of their own, names that say something, stages alike, tests where the modules are."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, TESTS = ROOT / "pipeline" / "camray", ROOT / "tests"
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "tools"}
FLOORS = ("domain", "core", "io", "reporting", "adapters", "stages", "workflows", "commands")
# tests of a whole package, or of one with a partner: no module has their name
OF_A_PACKAGE = {
    "adapters/datasets/test_forms.py": "the forms of table that a manifest may name, each with its own module",
    "adapters/datasets/test_published.py": "the manifests that camray ships, read by the whole package",
    "adapters/ledgers/test_ledgers.py": "two ledgers, one table",
    "adapters/tracking/test_server.py": "the whole package against a real MLflow server",
    "core/networks/test_colour_networks.py": "the architectures that take colour pictures, a module each",
    "stages/score/test_memory.py": "the whole stage's memory",
    "workflows/test_device_of_a_run.py": "the device of every workflow that uses one",
    "workflows/pacs/test_dicomweb_answers.py": "both workflows, by what services answer",
    "workflows/pacs/test_dicomweb_https.py": "both workflows by DICOMweb over TLS",
    "workflows/pacs/test_ohif.py": "reports in a viewer, from a real PACS",
    "workflows/pacs/test_orthanc.py": "both workflows against a real PACS",
    "workflows/pacs/test_rejection.py": "both workflows, refused by either protocol",
    "workflows/review/test_import_reports.py": "decisions from structured reports, all modules together",
}


def _modules(folder: Path = PACKAGE) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.py")) if path.name != "__init__.py")


def test_packages_hold_no_code_of_their_own() -> None:
    with_code = [path for path in PACKAGE.rglob("__init__.py") if path.read_text(encoding="utf-8").strip()]
    assert with_code == [PACKAGE / "__init__.py"]  # the Python face, imported when one of its names is used
    folders = {path.parent for path in _modules()}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_no_module_or_folder_has_a_name_that_says_nothing() -> None:
    named = {path.relative_to(PACKAGE): {path.stem, *path.relative_to(PACKAGE).parts} for path in _modules()}
    assert [str(path) for path, names in named.items() if names & SAYS_NOTHING] == []


def test_each_stage_is_a_package_with_one_entry() -> None:
    stages = [path for path in (PACKAGE / "stages").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(stages) == 7
    for stage in stages:
        tree = ast.parse((stage / "stage.py").read_text(encoding="utf-8"))
        assert "run" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, stage
    assert {path.name for path in (PACKAGE / "stages").glob("*.py")} == {"__init__.py"}


def _imports(path: Path) -> set[str]:
    """Return the modules that a file imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("path", [PACKAGE / "cli.py", *_modules(PACKAGE / "commands")], ids=lambda path: path.stem)
def test_commands_compute_nothing(path: Path) -> None:
    """They parse, call and print: no arrays, tables, networks or pixels."""
    roots = {name.split(".")[0] for name in _imports(path)}
    assert not roots & {"numpy", "pandas", "pyarrow", "scipy", "torch", "sklearn", "skimage", "numba", "PIL", "pydicom"}


@pytest.mark.parametrize("path", [PACKAGE / "cli.py", *_modules(PACKAGE / "commands")], ids=lambda path: path.stem)
def test_help_waits_for_no_heavy_import(path: Path) -> None:
    """What a command calls is imported when it is called."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_once = {node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module}
    ours = {name for name in at_once if name.startswith("camray.")}
    assert {name for name in ours if not name.startswith(("camray.commands", "camray.domain"))} == set()


def test_workers_and_untracked_commands_wait_for_neither_pytorch_nor_mlflow() -> None:
    """Each process that draws or prepares films imports this at its start."""
    code = "import sys, camray.stages.generate.stage, camray.stages.ingest.film_worker, camray.io.tracking\n"
    code += "print(*sorted({'torch', 'mlflow', 'scipy.stats', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def _has_its_module(test: Path) -> bool:
    """Tell whether ``test_<module>.py`` or ``test_<module>_<aspect>.py`` is where its module or package is."""
    folder, parts = PACKAGE / test.parent, test.stem.removeprefix("test_").split("_")
    names = ["_".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return any((folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file() for name in names)


def test_tests_are_where_their_modules_are() -> None:
    tests = {path.relative_to(TESTS) for floor in FLOORS for path in (TESTS / floor).rglob("test_*.py")}
    elsewhere = {path.as_posix() for path in tests if not _has_its_module(path)}
    assert elsewhere == set(OF_A_PACKAGE), "name it test_<module>[_<aspect>].py, or give its reason in OF_A_PACKAGE"
