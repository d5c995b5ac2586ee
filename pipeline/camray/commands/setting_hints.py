"""Hints for options that do not exist, where the word is that of a setting: settings are given without dashes."""

import sys
from typing import Any

from camray.domain.suggestions import nearest_names

MAX_HINTS = 2
METHOD_OPTIONS = ("explain.integrated_gradients.", "explain.occlusion.")
TAKEN = {"overrides": ("train.max_epochs=3", ("",)), "options": ("explain.occlusion.patch_px=16", METHOD_OPTIONS)}


def setting_hint(error: Any) -> str:
    """Return how the setting that an unknown option may mean is given; empty for other errors and commands.

    Parameters
    ----------
    error : Exception
        The command line's usage error.
    """
    option, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if option is None or context is None:
        return ""
    for parameter in context.command.params:
        if parameter.name in TAKEN:
            example, beginnings = TAKEN[parameter.name]
            given = [f"{name}={_value_of(option)}" for name in _meant(option, beginnings)]
            return f"settings are given without dashes: {' or '.join(given) or f'for instance {example}'}"
    return ""


def _meant(option: str, beginnings: tuple[str, ...]) -> list[str]:
    """Return the setting of that name, else those whose last part is the word, has it, or is spelt nearly so."""
    from camray.adapters.settings.reference import list_settings
    from camray.adapters.settings.schema import Settings

    last = {each.name: each.name.split(".")[-1] for each in list_settings(Settings) if each.name.startswith(beginnings)}
    word = option.lstrip("-").replace("-", "_").casefold()
    near = nearest_names(word, last.values())
    if word in last:
        return [word]
    meant = [name for name, key in last.items() if word in (key, *key.split("_"))]
    meant = meant or [name for name, key in last.items() if key in near[:1]]
    return sorted(meant, key=lambda name: name.count("."))[:MAX_HINTS]


def _value_of(option: str) -> str:
    """Return the value that was given to an unknown option, or a word for it."""
    words = sys.argv[1:]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, sign, value = word.partition("=")
        if name == option:
            is_value = bool(following) and following[0] != "-" and "=" not in following
            return value if sign else following if is_value else "VALUE"
    return "VALUE"
