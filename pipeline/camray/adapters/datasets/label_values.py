"""Texts of label tables: which text means present, absent or uncertain."""

import re

import pandas as pd

from camray.adapters.datasets.manifest import LabelTableRules

ABSENT, PRESENT, UNCERTAIN, UNKNOWN = 0, 1, 2, -1
# other usual texts for what a label table has as numbers
OTHER_WORDS = frozenset(
    [
        "y",
        "n",
        "t",
        "f",
        "x",
        "+",
        "-",
        "?",
        "positive",
        "negative",
        "pos",
        "neg",
        "present",
        "absent",
        "maybe",
        "possible",
        "probable",
        "likely",
        "unlikely",
        "unknown",
        "unclear",
        "nan",
        "na",
        "n/a",
        "none",
        "null",
    ]
)


def legal_texts(rules: LabelTableRules) -> set[str]:
    """Return all texts that are label values, normalized."""
    return {normalized(text) for _, texts in meanings_of(rules) for text in texts}


def listed_texts(rules: LabelTableRules) -> str:
    """List the label values for a message."""
    return ", ".join(
        repr(text) for text in dict.fromkeys(normalized(t) for _, texts in meanings_of(rules) for t in texts)
    ) + (" or nothing")


def quoted(text: str) -> str:
    """Quote a cell that is obviously a value; of any other text, which may identify a patient, return the length."""
    if text.casefold() in OTHER_WORDS or re.fullmatch(r"[-+]?\d{1,3}(\.\d{1,2})?", text):
        return repr(text)
    return f"a text of {len(text)} characters"


def meanings_of(rules: LabelTableRules) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Return each value with its texts."""
    return (PRESENT, rules.present), (ABSENT, rules.absent), (UNCERTAIN, rules.uncertain)


def normalized(text: str) -> str:
    """Return a text in lower case, without surrounding blanks and without the decimals of a whole number."""
    plain = text.strip().casefold()
    return plain.split(".")[0] if plain.endswith((".0", ".00")) else plain


def normalized_column(cells: "pd.Series[str]") -> "pd.Series[str]":
    """Return stripped cells as `normalized` returns a text."""
    return cells.str.casefold().str.replace(r"\.0+$", "", regex=True)
