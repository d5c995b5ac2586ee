"""Reading of settings: YAML and command line overrides in, validated models out.

An unknown key is an error that names the nearest settings.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser
from omegaconf.grammar_parser import parse as parse_interpolation
from pydantic import ValidationError

from camray.adapters.settings.default_recipe import with_default_recipe
from camray.adapters.settings.faults import describe_fault, suggested_experiments
from camray.adapters.settings.schema import Settings
from camray.adapters.settings.stored_digest import DIGEST_KEY, has_checked_digest
from camray.domain.errors import SettingsError
from camray.domain.package_data import shipped
from camray.domain.uris import has_secret, without_secrets

MAX_NODES = 20_000
_ONE_SLASH = re.compile(r":/+")


def config_path(name: str) -> Path:
    """Return the path of an experiment that ships with camray, for instance ``phantom``."""
    return shipped("configs") / f"{name}.yaml"


def load_settings(path: Path, overrides: list[str] | None = None) -> Settings:
    """Read an experiment's YAML and apply ``section.key=value`` overrides.

    Parameters
    ----------
    path : Path
        YAML file; without ``model.backbone`` it is completed by `with_default_recipe`. Paths inside ``data`` and
        ``model`` are relative to the *current* folder.
    overrides : list of str
        Dotted assignments, later ones win.

    Returns
    -------
    Settings
        Validated and frozen.

    Raises
    ------
    SettingsError
        If the file cannot be read, or a key or value is not legal; all faults are listed at once. If a text, such as
        `track.uri`, contains a password or token.
    """
    settings = load_stored(path, overrides)
    refuse_secrets(settings, str(path))
    return settings


def load_stored(path: Path, overrides: list[str] | None = None) -> Settings:
    """As `load_settings`, but `track.uri` may contain a password, as earlier versions stored it."""
    return parse_settings(with_default_recipe(load_plain(path, overrides)), str(path))


def load_plain(path: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """Read an experiment's YAML and overrides as `load_settings` does, neither completed nor validated."""
    if not path.is_file():
        raise SettingsError(f"{path}: no such settings file; {suggested_experiments(path)}see configs/ for examples")
    try:
        is_stored = has_checked_digest(path)
        _check_size(path)
        merged = OmegaConf.merge(OmegaConf.load(path), OmegaConf.from_dotlist(overrides or []))
        _check_interpolations(OmegaConf.to_container(merged, resolve=False))
        plain = OmegaConf.to_container(merged, resolve=True)
    except RecursionError:
        raise SettingsError(
            f"{path}: nested too deeply; expected sections of settings; correct it, see configs/ for examples"
        ) from None
    except (OmegaConfBaseException, yaml.YAMLError, TypeError, ValueError, OSError) as error:
        raise SettingsError(f"{path}: cannot be read as settings: {without_secrets(str(error))}") from error
    if not isinstance(merged, DictConfig) or not isinstance(plain, dict):
        raise SettingsError(f"{path}: expected a mapping of sections, got a {type(plain).__name__}")
    if "name" not in plain:
        holds = f"has no `name`, only {', '.join(map(str, plain))}" if plain else "is empty"
        raise SettingsError(f"{path}: {holds}; expected a name (name: my-run); see configs/ for examples")
    return {str(key): value for key, value in plain.items() if not (is_stored and key == DIGEST_KEY)}


def refuse_secrets(settings: Settings, where: str, keys: Collection[str] = ("",)) -> None:
    """Refuse settings that would store and log a password or token; see `load_settings`.

    Only settings of these dotted keys, and below them, are looked at; an empty key is above all.
    """

    def is_meant(key: str) -> bool:
        return any(f"{key}.".startswith(f"{above}." if above else "") for above in keys)

    uri = settings.track.uri or ""
    if has_secret(uri) and is_meant("track.uri"):
        raise SettingsError(
            f"{where}: track.uri={without_secrets(uri)}: contains a password or token, and settings "
            "are stored and logged; expected a URI without; set the environment variable MLFLOW_TRACKING_URI to the "
            "whole URI, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    for key, text in _texts(settings.model_dump(mode="json")):
        given = _ONE_SLASH.sub("://", text)  # as a URL was before it became a path
        if "://" in given and has_secret(given) and is_meant(key):
            raise SettingsError(
                f"{where}: {key}={without_secrets(given)}: contains a password or token, and settings are stored and "
                "logged; expected a path or name without; mount the folder, or get films of a PACS by `camray fetch`"
            )


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield all texts of nested settings, with their dotted keys."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(part, f"{key}.{name}" if key else str(name))


def with_secrets_hidden(settings: Settings) -> Settings:
    """Return settings whose `track.uri` shows that it contained a secret, and not which."""
    if settings.track.uri is None or not has_secret(settings.track.uri):
        return settings
    track = settings.track.model_copy(update={"uri": without_secrets(settings.track.uri)})
    return settings.model_copy(update={"track": track})


def _check_size(path: Path) -> None:
    """Refuse YAML whose aliases multiply it, before it is expanded."""
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    if node is not None and _n_nodes(node, {}) > MAX_NODES:
        raise ValueError(f"more than {MAX_NODES} values; expected sections of settings")


def _n_nodes(node: yaml.Node, counted: dict[int, int]) -> int:
    """Count values as if every alias was written out."""
    if id(node) not in counted:
        counted[id(node)] = MAX_NODES  # of a value that contains itself
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        inner = parts if isinstance(node, yaml.CollectionNode) else ()
        counted[id(node)] = 1 + sum(_n_nodes(part, counted) for part in inner)
    return counted[id(node)]


def _check_interpolations(value: Any) -> None:
    """Refuse functions in ``${...}``, such as ``oc.env``: settings are stored and logged, whoever wrote the file.

    References to other settings, ``${name}``, are harmless.
    """
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for part in value:
            _check_interpolations(part)
    if isinstance(value, str) and "${" in value and _has_function(parse_interpolation(value)):
        raise ValueError(
            f"'{value}' calls a function, which may read secrets of this machine; expected a value, or a reference to "
            "another setting such as ${name}; set it on the command line: SECTION.KEY=VALUE"
        )


def _has_function(node: Any) -> bool:
    if isinstance(node, OmegaConfGrammarParser.InterpolationResolverContext):
        return True
    return any(_has_function(child) for child in getattr(node, "children", None) or ())


def parse_settings(plain: dict[str, Any], where: str) -> Settings:
    """Validate a nested mapping; see `load_settings`."""
    try:
        return Settings.model_validate(plain)
    except ValidationError as error:
        faults = [describe_fault(fault) for fault in error.errors()]
        raise SettingsError(f"{where}: {len(faults)} fault(s) in the settings:\n" + "\n".join(faults)) from error


def with_export_formats(settings: Settings, names: str) -> Settings:
    """Return settings that export these formats, separated by commas; see `load_settings` for the errors."""
    plain = settings.model_dump(mode="json")
    plain["export"]["formats"] = [name.strip() for name in names.split(",") if name.strip()]
    return parse_settings(plain, "--formats")
