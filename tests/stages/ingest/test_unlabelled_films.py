"""Which films without a row in the label table may train features."""

import numpy as np
import pandas as pd
import pytest

from camray.domain.records import RefusalReason
from camray.stages.ingest.unlabelled_films import unlabelled_films

COLUMNS = ["patient_key", "pixel_sha256", "source"]
KEPT = pd.DataFrame([("p", "1", "a"), ("q", "2", "b"), ("r", "3", "c")], columns=COLUMNS, index=[0, 2, 5])
SPLITS = np.array(["train", "validation", "test"], dtype=object)
FILMS = pd.DataFrame(
    [("p", "4", "d"), ("q", "5", "e"), ("r", "6", "f"), ("s", "7", "g"), ("s", "7", "h"), ("s", "2", "i")],
    columns=COLUMNS,
    index=[1, 3, 4, 6, 7, 8],
)


def test_patients_who_are_scored_and_copies_stay_out() -> None:
    found = unlabelled_films(FILMS, KEPT, SPLITS, None)
    assert found.rows == (1, 6)
    not_in_table, copies = RefusalReason.NOT_IN_TABLE, RefusalReason.DUPLICATE_PIXELS
    assert {film.row: film.reason for film in found.refused} == {
        3: not_in_table,
        4: not_in_table,
        7: copies,
        8: copies,  # of a validation film
    }


def test_official_lists_and_wanted_copies_are_respected() -> None:
    official = np.array(["train", "", "validation", "", "", "test", "test", "train", ""], dtype=object)
    assert unlabelled_films(FILMS, KEPT, SPLITS, official).rows == (1, 7)
    assert unlabelled_films(FILMS, KEPT, SPLITS, None, keep_duplicates=True).rows == (1, 6, 7, 8)


@pytest.mark.parametrize("films", [FILMS.iloc[:0], FILMS.iloc[1:3]])
def test_nothing_may_be_left(films: pd.DataFrame) -> None:
    found = unlabelled_films(films, KEPT, SPLITS, None)
    assert found.rows == ()
    assert len(found.refused) == len(films)
