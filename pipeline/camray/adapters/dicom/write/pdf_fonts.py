"""Installed fonts for text of any script on the report page."""

from functools import cache

from matplotlib.font_manager import fontManager, get_font

FAMILY = "DejaVu Sans"  # comes with matplotlib; Latin, Greek, Cyrillic, but no East Asian script
_PLACEHOLDERS = "Last Resort"  # a font whose glyphs only name the block of a letter


def families_for(text: str) -> list[str] | None:
    """Return font families that have glyphs for all letters of a text; None where no installed font has.

    Examples
    --------
    >>> families_for("Pleural effusion")
    ['DejaVu Sans']
    """
    missing = frozenset(letter for letter in text if not _has_glyphs(_default_path(), frozenset(letter)))
    if not missing:
        return [FAMILY]
    family = _covering_family(missing)
    return None if family is None else [FAMILY, family]


@cache
def _covering_family(letters: frozenset[str]) -> str | None:
    upright = [entry for entry in fontManager.ttflist if entry.style == "normal"]
    for entry in sorted(upright, key=lambda entry: (entry.weight != 400, entry.name)):
        if entry.name.startswith(_PLACEHOLDERS):
            continue
        if _has_glyphs(entry.fname, letters):
            return str(entry.name)
    return None


@cache
def _default_path() -> str:
    return next(str(entry.fname) for entry in fontManager.ttflist if entry.name == FAMILY)


@cache
def _has_glyphs(path: str, letters: frozenset[str]) -> bool:
    font = get_font(path)
    return all(font.get_char_index(ord(letter)) for letter in letters)
