"""Only io/ names the files of a run: no other module spells one out, or puts a path of a stage together by hand."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from camray.io import artifact_types, artifacts
from camray.workflows.stage_inputs import STAGE_NAMES

PACKAGE = Path(artifacts.__file__).parents[1]
# families of files whose names hold a method, a split or a number
FAMILIES = re.compile(r"\.parquet|\.npy|\.sqlite|heat-|prior-|segmentations-|\.(sr|gsps|sc|seg)\.dcm")
ALLOWED = {
    "adapters/checkpoints.py": {".safetensors"},  # a format, told by its suffix
    "adapters/datasets/tables.py": {".parquet"},  # likewise
    "adapters/datasets/manifest_files.py": {"manifest.yaml", "*/manifest.yaml"},  # of a data set
    "adapters/datasets/reading.py": {"labels.csv", "boxes.csv"},  # of a user's own films
    "adapters/pixel_store.py": {".npy"},  # the store's format
    "adapters/review/page_folder.py": {"index.html", "files.json"},  # protocol of the review folder
    "adapters/run_folders/run_folder.py": {"settings.json"},  # what makes a folder a run; begin.json, stage.json, .lock
    "commands/lungs.py": {"lungs.safetensors", "Weights to write, *.safetensors"},  # not of a run
    "domain/package_data.py": {"lungs.safetensors"},  # shipped with the package
    "reporting/review_page/page.py": {"index.html"},  # as in adapters/review/page_folder.py
}
# help and messages that explain a file
TEXTS_FOR_PEOPLE = ("adapters/settings/", "core/reader_study/sr_decisions.py", "stages/train/stage.py")


def _names() -> set[str]:
    """All file names that `camray.io.artifacts` declares."""
    declared = (value for value in vars(artifacts).values() if isinstance(value, type))
    named = (each for kind in declared for each in vars(kind).values() if isinstance(each, artifact_types.Named))
    return {each._name for each in named if "." in each._name}


def _strings(tree: ast.AST) -> Iterator[ast.Constant]:
    """All string constants but docstrings."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node


def _spelled_out(path: Path, names: set[str]) -> list[str]:
    where = path.relative_to(PACKAGE).as_posix()
    if where.startswith("io/") or where.startswith(TEXTS_FOR_PEOPLE):
        return []
    found = []
    for node in _strings(ast.parse(path.read_text(encoding="utf-8"))):
        text = str(node.value)
        if text.endswith(".j2"):  # a template of the page, not the page
            continue
        if text not in ALLOWED.get(where, ()) and (FAMILIES.search(text) or any(name in text for name in names)):
            found.append(f"{where}:{node.lineno}: {text!r}")
    return found


def test_no_artifact_is_spelled_out_outside_io() -> None:
    names = _names()
    assert {"images.parquet", "grid.json", "thresholds.json", "contract.json", "scores.csv", "report.html"} <= names
    assert [line for path in sorted(PACKAGE.rglob("*.py")) for line in _spelled_out(path, names)] == []


def test_no_path_of_a_stage_is_put_together_outside_io() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE).as_posix()
        if where.startswith("io/") or where == "adapters/run_folders/run_folder.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            part = node.right if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) else None
            if isinstance(part, ast.Constant) and part.value in STAGE_NAMES:
                found.append(f"{where}:{node.lineno}")
    assert found == []


def test_a_planted_name_is_found(tmp_path: Path) -> None:
    planted = tmp_path / "module.py"
    for line in ('path = root / "grid.json"', 'path = f"heat-{method}"', 'path = folder / "labels.parquet"'):
        planted.write_text(f'"""A docstring may name grid.json."""\n{line}\n', encoding="utf-8")
        strings = [str(node.value) for node in _strings(ast.parse(planted.read_text(encoding="utf-8")))]
        assert any(FAMILIES.search(text) or text in _names() for text in strings)
        assert all("docstring" not in text for text in strings)
