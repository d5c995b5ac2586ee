"""Messages about invalid settings: what is wrong with each, and which setting or value is spelt most alike."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from camray.adapters.settings.reference import Setting, list_settings
from camray.adapters.settings.schema import Settings
from camray.domain.package_data import shipped
from camray.domain.suggestions import MAX_SUGGESTIONS, MIN_SIMILARITY, did_you_mean, nearest_names
from camray.domain.uris import without_secrets

_MIN_SIMILARITY_ELSEWHERE = 0.8
_WEIGHT_OF_KEY = 1.5  # of a key's likeness, beside that of its section
_WEIGHT_OF_DEPTH = 0.25  # of each section around a setting's own: epochs means train's, not train.pretext's
_LIKENESS_OF_WORD = 0.9  # of a name of which the key is one word, or has the initials


def describe_fault(fault: Any) -> str:
    """Describe one of pydantic's faults, in one line or, for an unknown section, one for each of its keys."""
    dotted = ".".join(str(part) for part in fault["loc"])
    if not dotted:  # a contradiction between sections
        return f"  {fault['msg'].removeprefix('Value error, ')}"
    if fault["type"] == "extra_forbidden":
        keys = _keys_of(dotted, fault.get("input"))
        return "\n".join(f"  {key}: unknown key; {_suggested_settings(key)}" for key in keys)
    given = fault.get("input")
    legal = re.findall(r"'([^']*)'", str(fault.get("ctx", {}).get("expected", "")))
    hint = did_you_mean(given, legal, "").rstrip() if isinstance(given, str) else ""
    if fault["type"] == "tuple_type" and isinstance(given, str):
        hint = f"write it as a list: {dotted}=[{without_secrets(given)}]"
    return f"  {dotted}: {fault['msg']}, got {without_secrets(repr(given))}{'; ' + hint if hint else ''}"


def suggested_experiments(path: Path) -> str:
    """Return a question that names experiments of a similar file name, beside `path` or shipped, ending in a blank."""
    folders = (shipped("configs"), Path("configs"), path.parent)
    experiments = {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}
    near = [experiments[stem] for stem in nearest_names(path.stem, experiments)]
    return f"did you mean {' or '.join(map(str, near))}? " if near else ""


def _keys_of(dotted: str, value: Any) -> Iterator[str]:
    """Yield the dotted names of all settings below an unknown key."""
    if not isinstance(value, dict) or not value:
        yield dotted
        return
    for key, inner in value.items():
        yield from _keys_of(f"{dotted}.{key}", inner)


def _suggested_settings(dotted: str) -> str:
    """Return the settings that an unknown key may mean: of a similar name, else meaning; else those of its section."""
    settings = list_settings(Settings)
    sections = [each for each in dict.fromkeys(_section_of(setting) for setting in settings) if each]
    section, _, key = dotted.rpartition(".")
    section = _known_section(section, sections)
    own = [setting for setting in settings if _section_of(setting) == section]
    near = _near_settings(section, key, settings)
    if not section:
        near = nearest_names(key, sections) + near
    if not near and section:
        near = [setting.name for setting in own if key.casefold() in setting.meaning.casefold()]
    if near:
        return f"did you mean {' or '.join(map(repr, near[:MAX_SUGGESTIONS]))}?"
    listed = ", ".join(setting.name for setting in own)
    return f"the settings are {listed}" if section else f"the sections are {', '.join(sections)}, and settings {listed}"


def _known_section(section: str, sections: list[str]) -> str:
    """Return a section itself, the one that is spelt most like it, or the same of the sections around it."""
    while section and section not in sections:
        near = nearest_names(section, sections)
        section = near[0] if near else section.rpartition(".")[0]
    return section


def _near_settings(section: str, key: str, settings: list[Setting]) -> list[str]:
    """Return the settings with a similar name, the nearest first; in other sections the names must be more alike."""
    closeness = {}
    for setting in settings:
        likeness = _key_likeness(key, setting.name.rpartition(".")[2], by_words=section in ("", _section_of(setting)))
        if likeness >= (MIN_SIMILARITY if _section_of(setting) == section else _MIN_SIMILARITY_ELSEWHERE):
            closeness[setting.name] = (
                _WEIGHT_OF_KEY * likeness
                + _likeness(section, _section_of(setting))
                - _WEIGHT_OF_DEPTH * setting.name.count(".")
            )
    corrected = f"{section}.{key}"  # where only the section was misspelt
    return [corrected] if corrected in closeness else sorted(closeness, key=closeness.__getitem__, reverse=True)


def _section_of(setting: Setting) -> str:
    return setting.name.rpartition(".")[0]


def _key_likeness(key: str, name: str, *, by_words: bool) -> float:
    """Return how alike a key and a setting's last name are; one word of the name, or its initials, may nearly do."""
    words = name.split("_")
    if len(words) == 1 or not by_words:
        return _likeness(key, name)
    initials = "".join(word[0] for word in words) if all(len(word) > 1 for word in words) else ""
    of_word = max(float(key.casefold() == initials), *(_likeness(key.rstrip("s"), word.rstrip("s")) for word in words))
    return max(_likeness(key, name), _LIKENESS_OF_WORD * of_word)


def _likeness(first: str, second: str) -> float:
    return SequenceMatcher(None, first.casefold(), second.casefold()).ratio()
