"""Reading of settings: YAML and command line overrides in, validated models out.

An unknown key is an error that names the nearest legal one.
"""

import difflib
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from camray.adapters.settings.schema import Settings
from camray.domain.errors import SettingsError
from camray.domain.package_data import shipped


def config_path(name: str) -> Path:
    """Return the path of an experiment that ships with camray, for instance ``phantom``."""
    return shipped("configs") / f"{name}.yaml"


def load_settings(path: Path, overrides: list[str] | None = None) -> Settings:
    """Read an experiment's YAML and apply ``section.key=value`` overrides.

    Parameters
    ----------
    path : Path
        YAML file. Paths inside ``data`` and ``model`` are relative to the *current* folder.
    overrides : list of str
        Dotted assignments, later ones win.

    Returns
    -------
    Settings
        Validated and frozen.

    Raises
    ------
    SettingsError
        If the file cannot be read, or a key or value is not legal; all faults are listed at once.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: no such settings file; see configs/ for examples")
    try:
        merged = OmegaConf.merge(OmegaConf.load(path), OmegaConf.from_dotlist(overrides or []))
        plain = OmegaConf.to_container(merged, resolve=True)
    except (OmegaConfBaseException, yaml.YAMLError, TypeError, ValueError, OSError) as error:
        raise SettingsError(f"{path}: cannot be read as settings: {error}") from error
    if not isinstance(merged, DictConfig) or not isinstance(plain, dict):
        raise SettingsError(f"{path}: expected a mapping of sections, got a {type(plain).__name__}")
    if "name" not in plain:
        holds = f"has no `name`, only {', '.join(map(str, plain))}" if plain else "is empty"
        raise SettingsError(f"{path}: {holds}; expected a name (name: my-run); see configs/ for examples")
    return parse_settings({str(key): value for key, value in plain.items()}, str(path))


def parse_settings(plain: dict[str, Any], where: str) -> Settings:
    """Validate a nested mapping; see `load_settings`."""
    try:
        return Settings.model_validate(plain)
    except ValidationError as error:
        faults = [_describe(fault) for fault in error.errors()]
        raise SettingsError(f"{where}: {len(faults)} fault(s) in the settings:\n" + "\n".join(faults)) from error


def with_export_formats(settings: Settings, names: str) -> Settings:
    """Return settings that export these formats, separated by commas; see `load_settings` for the errors."""
    plain = settings.model_dump(mode="json")
    plain["export"]["formats"] = [name.strip() for name in names.split(",") if name.strip()]
    return parse_settings(plain, "--formats")


def _describe(fault: Any) -> str:
    dotted = ".".join(str(part) for part in fault["loc"])
    if not dotted:  # a contradiction between sections
        return f"  {fault['msg'].removeprefix('Value error, ')}"
    if fault["type"] != "extra_forbidden":
        return f"  {dotted}: {fault['msg']}, got {fault.get('input')!r}"
    legal = _legal_keys(tuple(str(part) for part in fault["loc"][:-1]))
    near = difflib.get_close_matches(str(fault["loc"][-1]), legal, n=1, cutoff=0.3)
    hint = f"did you mean '{near[0]}'?" if near else f"legal keys: {', '.join(legal)}"
    return f"  {dotted}: unknown key; {hint}"


def _legal_keys(section: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in section:
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return sorted(model.model_fields)
