"""Installed fonts for text of any script in pictures and pages."""

import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache

import matplotlib as mpl
from matplotlib.font_manager import FontEntry, findSystemFonts, fontManager, get_font

from camray.domain.labels import Code

FAMILY = "DejaVu Sans"  # comes with matplotlib; Latin, Greek, Cyrillic, but no East Asian script
_PLACEHOLDERS = "Last Resort"  # a font whose glyphs only name the block of a letter
_EAST_ASIAN = ("CJK ", "HANGUL ", "HIRAGANA ", "KATAKANA ")  # beginnings of Unicode names
_REGULAR = 400


@cache
def base_path() -> str:
    """Return the file of the font that every installation has."""
    return f"{mpl.get_data_path()}/fonts/ttf/DejaVuSans.ttf"


def letter_fonts(text: str) -> dict[str, str] | None:
    """Return font files for the letters that the base font lacks; None where no installed font has one of them.

    Examples
    --------
    >>> letter_fonts("Pleural effusion")
    {}
    """
    missing = frozenset(letter for letter in text if not _has_glyphs(base_path(), frozenset(letter)))
    if not missing:
        return {}
    whole = _covering(missing)
    paths = {letter: whole or _covering(frozenset(letter)) for letter in missing}
    return None if None in paths.values() else {letter: str(path) for letter, path in paths.items()}


def families_for(text: str) -> list[str] | None:
    """Return font families that have glyphs for all letters of a text; None where no installed font has.

    Examples
    --------
    >>> families_for("Pleural effusion")
    ['DejaVu Sans']
    """
    paths = letter_fonts(text)
    if paths is None:
        return None
    return [FAMILY, *sorted({entry.name for entry in _entries() if entry.fname in paths.values()})]


def drawable_name(name: str, code: Code) -> str:
    """Return a finding's name, or its code's meaning or value where no installed font has the letters."""
    return next((text for text in (name, code.meaning) if letter_fonts(text) is not None), code.value)


def drawable_names(codes: Mapping[str, Code]) -> dict[str, str]:
    """Return the `drawable_name` of each finding by its name; the code's value where two would have one name."""
    names = {name: drawable_name(name, code) for name, code in codes.items()}
    shown = list(names.values())
    return {name: text if shown.count(text) == 1 else codes[name].value for name, text in names.items()}


def font_note(
    names: Iterable[str],
    instead: str = "the code's meaning or value",
    again: str = "run the stage again with --force",
) -> str:
    """Return a note on names that no installed font can write, and what to do; empty if there are none."""
    lacking = [name for name in names if letter_fonts(name) is None]
    if not lacking:
        return ""
    return (
        f"no installed font has the letters of {', '.join(map(repr, lacking))}; pictures and pages show {instead} "
        f"instead; install {packages_for(lacking)} (the Debian package) or another font with these "
        f"letters, then {again}"
    )


def packages_for(texts: Iterable[str]) -> str:
    """Return Debian packages whose fonts have letters of texts that no installed font has.

    Examples
    --------
    >>> packages_for(["폐렴"]), packages_for(["ভ"])
    ('fonts-noto-cjk', 'fonts-noto-core')
    """
    lacking = {letter for text in texts for letter in text if letter_fonts(letter) is None}
    names = {_package_of(letter) for letter in lacking or {letter for text in texts for letter in text}}
    return ", ".join(sorted(names))


def _package_of(letter: str) -> str:
    return "fonts-noto-cjk" if unicodedata.name(letter, "").startswith(_EAST_ASIAN) else "fonts-noto-core"


@cache
def _covering(letters: frozenset[str]) -> str | None:
    for entry in _entries():
        if _has_glyphs(entry.fname, letters):
            return entry.fname
    return None


@cache
def _entries() -> tuple[FontEntry, ...]:
    """Return the installed upright fonts, regular and sans serif first.

    matplotlib keeps a list of them, which lacks fonts that were installed later.
    """
    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        with suppress(OSError, RuntimeError, ValueError):  # damaged, or of a format without outlines
            fontManager.addfont(path)
    entries = (
        entry
        for entry in fontManager.ttflist
        if entry.style == "normal" and not getattr(entry, "index", 0) and not entry.name.startswith(_PLACEHOLDERS)
    )
    return tuple(sorted(entries, key=lambda entry: (entry.weight != _REGULAR, "Serif" in entry.name, entry.name)))


@cache
def _has_glyphs(path: str, letters: frozenset[str]) -> bool:
    try:
        charmap = get_font(path)
    except (OSError, RuntimeError):  # removed since, or damaged
        return False
    return all(charmap.get_char_index(ord(letter)) for letter in letters)
