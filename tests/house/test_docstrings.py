"""Array functions of `core` state the shapes, dtypes and units of what they take and return."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

CORE = Path(__file__).parents[2] / "pipeline" / "camray" / "core"
ARRAY_NAMES = {"Tensor", "NDArray", "ndarray"}


def _aliases(tree: ast.Module) -> set[str]:
    """Return the names that a module gives to array types: ``FloatImage = NDArray[np.float32]``."""
    return {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp)
        for target in node.targets
        if isinstance(target, ast.Name) and _mentions(node.value, ARRAY_NAMES)
    }


def _mentions(node: ast.AST | None, names: set[str]) -> bool:
    """Tell whether an annotation contains one of the names, also inside a string."""
    words = {word for part in ast.walk(node) for word in _words(part)} if node is not None else set()
    return bool(words & names)


def _words(part: ast.AST) -> list[str]:
    match part:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return [name]
        case ast.Constant(value=str(text)):
            return re.findall(r"\w+", text)
        case _:
            return []


def _public_functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield public functions, and public methods of public classes, by name; properties and protocols are left out."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not _is_protocol(node):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_") and not _is_property(method):
                    yield f"{node.name}.{method.name}", method


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)


def _is_property(node: ast.FunctionDef) -> bool:
    return any(_mentions(each, {"property", "cached_property"}) for each in node.decorator_list)


def _faults(function: ast.FunctionDef, arrays: set[str]) -> list[str]:
    """Name the numpydoc sections that an array function lacks."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    annotations = [argument.annotation for argument in arguments if argument.arg not in {"self", "cls"}]
    if not any(_mentions(annotation, arrays) for annotation in [*annotations, function.returns]):
        return []
    sections = ["Parameters"] if annotations else []
    if function.returns is not None and ast.unparse(function.returns) != "None":
        sections.append("Yields" if _mentions(function.returns, {"Iterator"}) else "Returns")
    doc = ast.get_docstring(function) or ""
    return [section for section in sections if f"{section}\n{'-' * len(section)}" not in doc]


@cache
def _trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in sorted(CORE.rglob("*.py"))}


def test_array_functions_have_parameters_and_returns() -> None:
    arrays = ARRAY_NAMES.union(*(_aliases(tree) for tree in _trees().values()))
    faults = {
        f"{path.relative_to(CORE)}: {name}": lacking
        for path, tree in _trees().items()
        for name, function in _public_functions(tree)
        if (lacking := _faults(function, arrays))
    }
    assert faults == {}


def test_the_check_itself() -> None:
    source = '''
def bare(x: Tensor) -> Tensor:
    """Sum."""
def plain(x: int) -> int:
    """Sum."""
def through_alias(x: "FloatImage | None") -> None:
    """Sum."""
'''
    arrays = {*ARRAY_NAMES, "FloatImage"}
    functions = dict(_public_functions(ast.parse(source)))
    assert {name: _faults(function, arrays) for name, function in functions.items()} == {
        "bare": ["Parameters", "Returns"],
        "plain": [],
        "through_alias": ["Parameters"],
    }
