"""Names of films in another form than the table's: backslashes, Unicode form, case, `.0`, zeros, file name ending.

Only films that no row names exactly, and rows that name no film exactly, are compared. A match counts where exactly one
key and one film agree in a form; everything else is reported and not used.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.films_index import NOT_FOUND, FilmIndex, kinds_of, path_ends
from camray.adapters.datasets.manifest import Key

_ENDING = re.compile(r"(\.[A-Za-z][A-Za-z0-9]{1,5})?(\.gz)?$")
_KNOWN_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,5}$")


@dataclass(frozen=True)
class NearMatches:
    """Rows whose key names a film in another form.

    Parameters
    ----------
    films : ndarray of shape (rows,), int64
        Position of the film, or `NOT_FOUND`.
    rows : mapping of str to list of int
        Matched rows by the difference in form.
    unclear : mapping of str to list of int
        Rows not matched because several keys or films agree, by the difference in form.
    candidates : mapping of int to list of int
        The same rows by film.
    """

    films: NDArray[np.int64]
    rows: dict[str, list[int]] = field(default_factory=dict)
    unclear: dict[str, list[int]] = field(default_factory=dict)
    candidates: dict[int, list[int]] = field(default_factory=dict)


def match_nearly(keys: "pd.Series[str]", matched: NDArray[np.int64], films: FilmIndex, key_is: Key) -> NearMatches:
    """Match rows without a film to films without a row.

    Parameters
    ----------
    keys : Series of str
        The key of each row.
    matched : ndarray of shape (rows,), int64
        Film of each row by its exact name.
    films : FilmIndex
        All films.
    key_is : str
        What the keys are.
    """
    near = NearMatches(np.full(len(keys), NOT_FOUND, dtype=np.int64))
    rows_of: dict[str, list[int]] = defaultdict(list)
    texts, sources = keys.tolist(), films.sources.tolist()
    for row in np.flatnonzero(matched == NOT_FOUND):
        rows_of[texts[row]].append(int(row))
    free = set(range(len(films.usable))) - set(matched[matched >= 0].tolist())
    kinds = [films.names(kind).tolist() for kind in kinds_of(key_is) if kind != "path_end"]
    names = [(film, kind[film]) for film in sorted(free) for kind in kinds]
    if key_is == "any":
        names += [(film, end) for film in sorted(free) for end in path_ends(sources[film])]
    forms, is_first = {key: key for key in rows_of}, True
    for difference, change in _DIFFERENCES:
        if not free or not forms:
            break
        previous = forms, names
        forms = {key: change(form) for key, form in forms.items()}
        names = [(film, change(name)) for film, name in names if film in free]
        if (forms, names) == previous and not is_first:
            continue
        is_first = False
        for key, fitting, is_clear in _pairs(forms, names, may_be_elsewhere=key_is in {"any", "file_name"}):
            rows = rows_of[key]
            if is_clear:
                near.films[rows] = fitting[0]
                near.rows.setdefault(difference, []).extend(rows)
            else:
                near.unclear.setdefault(difference, []).extend(rows)
                for film in fitting:
                    near.candidates.setdefault(film, []).extend(rows)
            forms.pop(key)
        free -= {int(film) for film in near.films[near.films >= 0]}
    return near


def name_shape(name: str) -> str:
    """Return a name with every digit as 9 and every letter as x, but for a file name's ending: it identifies nobody.

    Examples
    --------
    >>> name_shape("Kim_0017.0"), name_shape("train/f01.png")
    ('xxx_9999.9', 'xxxxx/x99.png')
    """
    ending = _KNOWN_ENDING.search(name)
    stem = name[: ending.start()] if ending else name
    masked = "".join("9" if sign.isdigit() else "x" if sign.isalpha() else sign for sign in stem)
    return masked + (ending.group() if ending else "")


def _pairs(
    forms: dict[str, str], names: list[tuple[int, str]], *, may_be_elsewhere: bool
) -> list[tuple[str, list[int], bool]]:
    """Return each key that agrees with films, these films, and whether no other key and film agree.

    A key that is a path may begin with other folders than the film, where `may_be_elsewhere`.
    """
    named: dict[str, set[int]] = defaultdict(set)
    for film, name in names:
        named[name].add(film)
    fitting = {}
    for key, form in forms.items():
        ends = (form, *path_ends(form), form.rsplit("/", 1)[-1]) if may_be_elsewhere else (form,)
        end = next((end for end in ends if end in named), None)
        if end is not None:
            fitting[key] = sorted(named[end])
    keys_of: dict[int, int] = defaultdict(int)
    for films in fitting.values():
        for film in films:
            keys_of[film] += 1
    return [(key, films, len(films) == 1 and keys_of[films[0]] == 1) for key, films in fitting.items()]


def _plain_path(name: str) -> str:
    parts = [part for part in name.replace("\\", "/").split("/") if part not in {"", "."}]
    return "/".join(parts)


def _visible(name: str) -> str:
    if name.isascii() and name.isprintable() and " " not in name:
        return name
    visible = "".join(sign for sign in name if unicodedata.category(sign) != "Cf")
    return " ".join(visible.split())


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _without_decimals(name: str) -> str:
    return re.sub(r"^(\d+)\.0+$", r"\1", name)


def _without_ending(name: str) -> str:
    return _ENDING.sub("", name, count=1)


def _without_zeros(name: str) -> str:
    return re.sub(r"(?<![^/])0+(?=\d+(\.[A-Za-z]\w*)?$)", "", name)


_DIFFERENCES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("backslashes, or a leading ./", _plain_path),
    ("blanks or invisible characters", _visible),
    ("another Unicode form of the same letters", _composed),
    ("another case", str.casefold),
    ("a whole number with decimals, such as 100.0", _without_decimals),
    ("another number of leading zeros", _without_zeros),
    ("another ending of the file name", _without_ending),
)
