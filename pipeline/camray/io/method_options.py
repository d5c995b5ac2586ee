"""Options of explanation methods from the settings of a run, and changes of them on the command line."""

from collections.abc import Collection, Sequence
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from camray.adapters.settings.faults import describe_fault
from camray.adapters.settings.schema import ExplainSettings
from camray.core.explain.method_options import IntegrationOptions, MethodOptions, OcclusionOptions
from camray.core.explain.methods import OPTION_OWNERS
from camray.domain.errors import SettingsError
from camray.domain.suggestions import nearest_names


def method_options(settings: ExplainSettings) -> MethodOptions:
    """Return the options of explanation methods that a run's settings ask for."""
    return MethodOptions(
        IntegrationOptions(**settings.integrated_gradients.model_dump()),
        OcclusionOptions(**settings.occlusion.model_dump()),
    )


def changed_options(settings: ExplainSettings, overrides: Sequence[str], methods: Collection[str]) -> MethodOptions:
    """Return the options that settings ask for, changed as the command line says.

    Parameters
    ----------
    settings : ExplainSettings
        What is not changed.
    overrides : sequence of str
        ``explain.occlusion.patch_px=16`` and the like; later ones win.
    methods : collection of str
        Methods that will be computed.

    Raises
    ------
    SettingsError
        If a setting does not exist, has an illegal value, is no option of a method, or of none of `methods`.
    """
    try:
        changes: Any = OmegaConf.to_container(OmegaConf.from_dotlist(list(overrides)))
    except (OmegaConfBaseException, ValueError) as error:
        raise SettingsError(
            f"{' '.join(overrides)}: expected settings such as explain.occlusion.patch_px=16"
        ) from error
    for override in overrides:
        _check_is_option(override)
    check_options_belong(overrides, methods)
    plain = settings.model_dump(mode="json")
    for section, values in changes.get("explain", {}).items():
        plain[section] |= values
    try:
        return method_options(ExplainSettings.model_validate(plain))
    except ValidationError as error:
        faults = [describe_fault({**fault, "loc": ("explain", *fault["loc"])}).strip() for fault in error.errors()]
        raise SettingsError("; ".join(faults)) from error


def check_options_belong(overrides: Sequence[str], methods: Collection[str]) -> None:
    """Refuse options of explanation methods that none of `methods` has; other settings are not looked at.

    Raises
    ------
    SettingsError
        With the nearest option that the methods do have.
    """
    own = [
        f"explain.{section}.{key}" for section in OPTION_OWNERS if _is_of(section, methods) for key in _keys(section)
    ]
    for override in overrides:
        name = override.partition("=")[0]
        section = name.split(".")[1] if name.startswith("explain.") else ""
        if section in OPTION_OWNERS and not _is_of(section, methods):
            owners, asked = " or ".join(OPTION_OWNERS[section]), ", ".join(methods)
            has = f"{_nearest(name, own)}its options are {', '.join(own)}" if own else "no options; leave this one out"
            raise SettingsError(f"{name}: an option of {owners}; {asked}: {has}")


def _is_of(section: str, methods: Collection[str]) -> bool:
    return not set(OPTION_OWNERS[section]).isdisjoint(methods)


def _keys(section: str) -> list[str]:
    return list(ExplainSettings.model_fields[section].default.model_dump())


def _check_is_option(override: str) -> None:
    name, sign, _ = override.partition("=")
    parts = name.split(".")
    if not sign:
        raise SettingsError(f"{override}: has no value; expected {override}=VALUE")
    if parts[0] == "explain" and len(parts) == 3 and parts[1] in OPTION_OWNERS:
        return
    known = [f"explain.{section}.{key}" for section in OPTION_OWNERS for key in _keys(section)]
    raise SettingsError(f"{name}: no option of a method; {_nearest(name, known)}the options are {', '.join(known)}")


def _nearest(name: str, known: Sequence[str]) -> str:
    """Return a question that names the options whose last part is spelt most alike; empty if there is none."""
    last = {each.rpartition(".")[2]: each for each in known}
    near = nearest_names(name.rpartition(".")[2], last)[:1]
    return f"did you mean '{last[near[0]]}'? " if near else ""
