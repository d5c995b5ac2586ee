"""Which films the rows of tables name, and which rows name no film."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.faults import MAX_LINES_LISTED, FaultReport
from camray.adapters.datasets.films_index import NOT_FOUND, FilmIndex
from camray.adapters.datasets.near_names import name_shape
from camray.adapters.datasets.tables import TextTable

SHAPES_FROM = 1000  # names that are looked at for their form


def named_films(films: FilmIndex, *tables: TextTable) -> NDArray[np.bool_]:
    """Tell for each film whether a row names it; refused films too."""
    named = np.zeros(len(films.usable), dtype=bool)
    for table in tables:
        named[table.films[table.films >= 0]] = True
    return named


def nearly_named(tables: Sequence[TextTable]) -> dict[int, str]:
    """Say which lines nearly name a film, as the end of a sentence, by the film's position."""
    return {
        film: f"; {table.name} nearly does in line {', '.join(map(str, lines[:MAX_LINES_LISTED]))}"
        for table in tables
        for film, lines in table.nearly.items()
    }


def report_mismatch(
    label_tables: Sequence[TextTable],
    box_tables: Sequence[TextTable],
    films: FilmIndex,
    report: FaultReport,
    *,
    stops: bool,
) -> None:
    """Report tables of which no row names a film; if no table names any, all films would be left out."""
    tables = [table for table in (*label_tables, *box_tables) if len(table.films)]
    unmatched = [table for table in tables if (table.films == NOT_FOUND).all()]
    for table in unmatched if len(films.usable) else []:
        keys, names = (", ".join(_shapes(texts)) for texts in (table.key, films.sources))
        ids = ", ".join(_shapes(films.image_ids))
        what = f"no row names a film: the table has names like {keys}; files are like {names}, identifiers like {ids}"
        is_fatal = stops and len(unmatched) == len(tables) and table in label_tables
        report.add(table.name, f"{what} (digits as 9, letters as x)", stops=is_fatal, count=1)


def _shapes(names: "pd.Series[str]") -> list[str]:
    return [repr(shape) for shape, _ in Counter(names.head(SHAPES_FROM).map(name_shape)).most_common(2)]


def missing_films(*tables: TextTable) -> list[tuple[str, int]]:
    """Return table and line of the films that are not under the root, each once."""
    seen: set[str] = set()
    missing = []
    for table in tables:
        for row in np.flatnonzero(table.films == NOT_FOUND):
            key = str(table.key.iloc[row])
            if key not in seen:
                seen.add(key)
                missing.append((table.name, int(table.lines[row])))
    return missing
