"""CSV files for spreadsheets: no cell is a formula, and camray reads back what it wrote."""

import io

import pandas as pd
import pytest

from camray.domain.spreadsheet_cells import with_formulas, without_formulas

TEXTS = ["=1+1", "+Fluid", "-Mass", "@x", "\t=1", "'=1", "''=1", "'quoted", "-", "-0.5", "Mass", "", None]


def test_no_text_begins_like_a_formula_and_each_comes_back() -> None:
    table = pd.DataFrame({"label": TEXTS, "=x": [-1.5] * len(TEXTS)})
    safe = without_formulas(table)
    texts = [text for text in safe["label"] if isinstance(text, str)]
    assert not [text for text in texts if text.startswith(("=", "+", "@", "\t")) or text == "-Mass"]
    assert list(safe.columns) == ["label", "'=x"]
    back = with_formulas(pd.read_csv(io.StringIO(safe.to_csv(index=False)), keep_default_na=False))
    assert back["label"].tolist() == [text or "" for text in TEXTS]
    assert back["=x"].tolist() == [-1.5] * len(TEXTS)


@pytest.mark.parametrize("kind", ["category", "string", "object"])
def test_an_ordinary_table_is_written_as_before(kind: str) -> None:
    table = pd.DataFrame(
        {"label": pd.Series(["Mass", None, "x"], dtype=kind), "n": [1, 2, 3], "is": [True, False, True]}
    )
    assert without_formulas(table).to_csv(index=False) == table.to_csv(index=False)
