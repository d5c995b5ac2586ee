"""Every setting with its kind, default and meaning, read off the models: what people look up instead of the code."""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


@dataclass(frozen=True)
class Setting:
    """One setting.

    Parameters
    ----------
    name : str
        Dotted, as it stands in overrides.
    kind : str
        ``number``, the legal words, ...; with bounds where there are any.
    default : Any
        As YAML has it; ``required`` is True where there is none.
    meaning : str
        With its unit; empty where the name says it all.
    required : bool
    """

    name: str
    kind: str
    default: Any
    meaning: str
    required: bool = False


def list_settings(model: type[BaseModel]) -> list[Setting]:
    """List all settings of a model and of its sections, in their order."""
    return list(_of(model, ""))


def section_meaning(model: type[BaseModel], section: str) -> str:
    """Return what a section is about, the first line of its docstring; empty where there is no such section."""
    field = model.model_fields.get(section)
    found = None if field is None else _model_in(field.annotation)
    return "" if found is None else (found.__doc__ or "").strip().splitlines()[0]


def value_of(plain: dict[str, Any], setting: Setting) -> Any:
    """Return a setting's value in dumped settings; its default inside a section that is left out."""
    found: Any = plain
    for part in setting.name.split("."):
        if not isinstance(found, dict):
            return setting.default
        found = found[part]
    return found


def _of(model: type[BaseModel], before: str) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        nested = _model_in(field.annotation)
        if nested is not None:
            yield from _of(nested, f"{before}{name}.")
            continue
        required = field.default is PydanticUndefined
        default = None if required else _plain(field.default)
        yield Setting(f"{before}{name}", _kind(field), default, field.description or "", required)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _kind(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(rule, name):g}"
        for rule in field.metadata
        for name, sign in _BOUNDS.items()
        if getattr(rule, name, None) is not None
    ]
    return " ".join([_word(field.annotation), *bounds])


def _word(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(str(each) for each in inner)
    if origin is typing.Annotated:
        return _word(inner[0])
    if origin in (Union, types.UnionType):
        return _word(next(each for each in inner if each is not type(None)))
    if origin is tuple:
        return f"list of {_word(inner[0])}"
    if origin is dict:
        return "mapping"
    return {bool: "true | false", int: "whole number", float: "number", str: "text", Path: "path"}.get(
        annotation, "any"
    )
