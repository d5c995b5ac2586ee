"""No HTML, CSS or JavaScript in Python strings: pages are templates and assets below ``reporting/``."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "pipeline" / "camray"
_TAGS = (
    "a|b|body|br|canvas|caption|dd|dialog|div|dl|dt|em|figcaption|figure|form|h[1-6]|head|header|html|i|iframe|img|input|"
    "li|link|main|meta|nav|ol|p|script|select|span|strong|style|svg|tbody|td|textarea|th|thead|tr|ul"
)
_WORDS = "code|label|object|option|section|table|title"  # `<label>` alone is a placeholder in many messages
MARKUP = {
    "HTML": re.compile(
        rf"</?(?:{_TAGS})(?:\s+[\w-]+\s*=|\s*/?>)|<(?:{_WORDS})\s+[\w-]+\s*=|</(?:{_WORDS})>|<!doctype|"
        r"&(?:lt|gt|amp|quot|nbsp|#\d+);",
        re.IGNORECASE,
    ),
    "HTML attribute": re.compile(r"\b(?:class|style|href|src|onclick)\s*=\s*[\"']?\w*[\"']?\s*>"),
    "CSS": re.compile(r"[\w.#*)\]]\s*\{\s*[a-z-]+\s*:\s*[^{}:\"']+;?\s*\}"),
    "JavaScript": re.compile(
        r"\b(?:const|let|var)\s+\w+\s*=|\bfunction\s*\w*\(|=>\s*[{(\w]|\b(?:document|window)\.\w+"
    ),
}


def markup_in(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, kind and text of every string that holds markup, docstrings included; f-strings piece by piece."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for kind, pattern in MARKUP.items():
                match = pattern.search(node.value)
                if match:
                    yield node.lineno, kind, match.group()


def test_no_module_holds_markup() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {kind}: {text}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, kind, text in markup_in(path.read_text(encoding="utf-8"))
    ]
    assert found == [], "put it into a template or an asset of reporting/"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("page = f'<td class=\"n\">{value}</td>'", "HTML"),
        ("page = '<br>'", "HTML"),
        ("page = '</table>'", "HTML"),
        ("page = 'a &lt; b'", "HTML"),
        ("style = 'td.n{text-align:right}'", "CSS"),
        ("style = 'img { max-width: 100%; }'", "CSS"),
        ("script = 'const table = 1'", "JavaScript"),
        ("script = f'window.CAMRAY = {run}'", "JavaScript"),
        ("script = 'rows.forEach(row => row.remove())'", "JavaScript"),
    ],
)
def test_markup_is_recognised(source: str, kind: str) -> None:
    assert kind in {name for _, name, _ in markup_in(source)}


@pytest.mark.parametrize(
    "source", ["'IoU < 0.5 and p > 0.3'", "'{\"a\": 1}'", "'run <config>'", "f'{name}: {n} of 3'", "'<label>.png'"]
)
def test_plain_text_is_not_markup(source: str) -> None:
    assert list(markup_in(source)) == []
