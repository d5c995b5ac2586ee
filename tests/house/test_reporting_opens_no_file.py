"""Reporting turns results into bytes: it opens no file but its own templates and assets."""

import ast
from pathlib import Path

REPORTING = Path(__file__).resolve().parents[2] / "pipeline" / "camray" / "reporting"
FILES = {"pathlib", "os", "shutil", "tempfile", "glob"}


def imported_in(source: str) -> set[str]:
    """Return the top-level names of the modules that a source imports."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def opens(source: str) -> bool:
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return any(isinstance(call, ast.Name) and call.id == "open" for call in calls)


def test_reporting_neither_imports_paths_nor_opens_files() -> None:
    for path in sorted(REPORTING.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        assert not imported_in(source) & FILES, path.name
        assert not opens(source), path.name
        assert "importlib" not in imported_in(source) or path.name == "page_rendering.py", path.name


def test_a_module_that_opens_files_is_recognised() -> None:
    assert imported_in("from pathlib import Path\nimport os.path\n") == {"pathlib", "os"}
    assert opens("with open('a') as f: pass")
    assert not opens("Image.fromarray(a)")
