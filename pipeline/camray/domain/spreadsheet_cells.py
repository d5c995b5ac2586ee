"""Texts in CSV files that people open in a spreadsheet: a name that begins like a formula is none."""

from typing import Any

import pandas as pd

_MARK = "'"  # what spreadsheets write before a text
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    r"""Return a table for a CSV file: texts and names of columns that begin like a formula have an apostrophe before.

    Examples
    --------
    >>> without_formulas(pd.DataFrame({"label": ["=1+1", "Mass"], "x": [-1.5, 2.0]})).to_csv(index=False)
    "label,x\n'=1+1,-1.5\nMass,2.0\n"
    """
    return _each_text(table, lambda text: _MARK + text if text.lstrip(_MARK).startswith(_FORMULA) else text)


def with_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table that `without_formulas` changed, read from a CSV file, as it was.

    Examples
    --------
    >>> with_formulas(pd.DataFrame({"label": ["'=1+1", "Mass"]}))["label"].tolist()
    ['=1+1', 'Mass']
    """
    return _each_text(
        table,
        lambda text: text[1:] if text.startswith(_MARK) and text.lstrip(_MARK).startswith(_FORMULA) else text,
    )


def _each_text(table: pd.DataFrame, change: Any) -> pd.DataFrame:
    def changed(value: Any) -> Any:
        return change(value) if isinstance(value, str) and not _is_number(value) else value

    texts = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name].dtype)]
    columns = {name: table[name].astype(object).map(changed) for name in texts}
    return table.assign(**columns).rename(columns={name: changed(name) for name in table.columns})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == "-"
    return True
