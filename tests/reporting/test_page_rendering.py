"""Templates: every one compiles, escapes by itself, and fails on a name that is not given."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from camray.reporting import page_rendering
from camray.reporting.page_rendering import asset, data_uri, render

REPORTING = Path(page_rendering.__file__).parent
TEMPLATES = sorted((REPORTING / "templates").rglob("*.j2"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_template_compiles_and_marks_nothing_safe(path: Path) -> None:
    environment = page_rendering._environment()
    assert environment.autoescape is True
    environment.get_template(str(path.relative_to(REPORTING / "templates")))
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe\b", text)
    assert "autoescape" not in text


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'backbone' is undefined"):
        render("method_gallery.html.j2", rows=[], findings=[], pictures="")


def test_json_in_a_script_cannot_end_it_and_holds_no_nan() -> None:
    text = render("review_page/run.js.j2", run={"b": "</script>\u2028é", "a": 1})
    assert text == 'window.CAMRAY = {};\nCAMRAY.run = {"b":"\\u003c/script\\u003e\\u2028\\u00e9","a":1};\n'
    with pytest.raises(ValueError, match="JSON"):
        render("review_page/run.js.j2", run=float("nan"))


def test_assets_and_pictures_are_put_in_as_they_are() -> None:
    assert isinstance(asset("score_report.css"), Markup)
    assert data_uri(b"\x89PNG") == "data:image/png;base64,iVBORw=="
    assert data_uri(b"", "image/jpeg") == "data:image/jpeg;base64,"


def test_every_page_forbids_loading_from_elsewhere() -> None:
    pages = [path for path in TEMPLATES if "<!doctype html>" in path.read_text(encoding="utf-8")]
    assert {path.name for path in pages} == {"page.html.j2", "index.html.j2"}
    for path in pages:
        assert "Content-Security-Policy\" content=\"default-src 'none'" in path.read_text(encoding="utf-8")
