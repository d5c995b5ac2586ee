"""Reference of all settings: name, kind, default and meaning, from the JSON schema of the settings' models."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_KINDS = {
    "boolean": "true | false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "object": "mapping",
}
_Schema = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """One setting.

    Parameters
    ----------
    name : str
        Dotted, as in command line overrides.
    kind : str
        ``number``, the legal values, ...; with bounds if there are any.
    default : Any
        As in YAML; None if the setting is required.
    meaning : str
        With its unit; empty if the name is enough.
    required : bool
        Whether the setting has no default.
    """

    name: str
    kind: str
    default: Any
    meaning: str
    required: bool = False


def list_settings(model: type[BaseModel]) -> list[Setting]:
    """List all settings of a model and of its sections, in their order."""
    schema = model.model_json_schema()
    return list(_settings_of(schema, schema.get("$defs", {}), ""))


def section_meaning(model: type[BaseModel], section: str) -> str:
    """Return the first line of a section's description; empty if there is no such section."""
    schema = model.model_json_schema()
    nested = _section(schema["properties"].get(section, {}), schema.get("$defs", {}))
    return "" if nested is None else str(nested.get("description", "")).partition("\n")[0]


def value_of(plain: dict[str, Any], setting: Setting) -> Any:
    """Return a setting's value from dumped settings; its default if its section is null."""
    value: Any = plain
    for part in setting.name.split("."):
        if not isinstance(value, dict):
            return setting.default
        value = value[part]
    return value


def _settings_of(schema: _Schema, sections: _Schema, prefix: str) -> Iterator[Setting]:
    for name, field in schema["properties"].items():
        nested = _section(field, sections)
        if nested is not None:
            yield from _settings_of(nested, sections, f"{prefix}{name}.")
            continue
        is_required = name in schema.get("required", ())
        yield Setting(f"{prefix}{name}", _kind(field), field.get("default"), field.get("description", ""), is_required)


def _section(field: _Schema, sections: _Schema) -> _Schema | None:
    """Return the schema of the section that a field refers to, or None for a plain setting."""
    for option in (field, *field.get("anyOf", ())):
        if "$ref" in option:
            section: _Schema = sections[option["$ref"].rpartition("/")[2]]
            return section
    return None


def _kind(field: _Schema) -> str:
    alternatives = [option for option in field.get("anyOf", ()) if option.get("type") != "null"]
    if alternatives:
        return " | ".join(dict.fromkeys(_kind(option) for option in alternatives))
    bounds = [f"{sign} {field[name]:g}" for name, sign in _BOUNDS.items() if name in field]
    return " ".join([_type(field), *bounds])


def _type(field: _Schema) -> str:
    if "enum" in field or "const" in field:
        return " | ".join(str(value) for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_type(field['items'] if 'items' in field else field['prefixItems'][0])}"
    if field.get("format") == "path":
        return "path"
    return _KINDS.get(field.get("type", ""), "any")
