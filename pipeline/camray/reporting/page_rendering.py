"""HTML pages and page scripts from the Jinja2 templates of this package.

Autoescape is on for every template and an undefined name is an error. Styles and scripts are files in ``assets/``, put
into the page as they are.
"""

import base64
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from camray.reporting.score_report.terms import TERMS


def render(template: str, /, **values: Any) -> str:
    """Fill in a template.

    Parameters
    ----------
    template : str
        Path below ``templates/``.
    **values
        What the template uses; text is escaped there.

    Returns
    -------
    str
        The same for the same values.

    Raises
    ------
    jinja2.UndefinedError
        If the template uses a name that is not in `values`.
    """
    return _environment().get_template(template).render(**values)


def asset(name: str) -> Markup:
    """Return a style sheet or script of ``assets/`` as text that is not escaped."""
    path = resources.files("camray.reporting") / "assets" / name
    return Markup(path.read_text(encoding="utf-8"))


def data_uri(content: bytes, media_type: str = "image/png") -> str:
    """Return a picture as the text of a ``src`` attribute."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("camray.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.globals |= {"asset": asset, "terms": TERMS}
    environment.filters["data_uri"] = data_uri
    # ASCII (no line separator ends a script line), in the order given, and no NaN, which is no JSON
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment
