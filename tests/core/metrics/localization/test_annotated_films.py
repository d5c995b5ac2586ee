import numpy as np
import pandas as pd
import pytest

from camray.core.metrics.localization.annotated_films import collect_annotated_films, number_patients
from camray.domain.errors import AnnotationError

FILMS = pd.DataFrame(
    {"image_id": ["b", "a", "c"], "patient_key": ["k2", "k1", "k2"], "rows": [10, 20, 30], "cols": [5, 6, 7]}
)
BOXES = pd.DataFrame(
    [
        ("b", "x", 0, 0, 1, 1),
        ("a", "x", 1, 1, 3, 4),
        ("b", "x", 2, 2, 4, 4),
        ("c", "y", 0, 0, 1, 1),
        ("z", "x", 0, 0, 1, 1),
    ],
    columns=["image_id", "label", "x0", "y0", "x1", "y1"],
)


def test_items_are_the_annotated_films_in_order() -> None:
    items = collect_annotated_films("x", BOXES, FILMS, number_patients(FILMS))
    assert items.image_ids == ("a", "b")
    np.testing.assert_array_equal(items.patients, [0, 1])
    np.testing.assert_array_equal(items.sizes_xy, [[6, 20], [5, 10]])
    np.testing.assert_array_equal(items.box_counts, [1, 2])
    np.testing.assert_array_equal(items.boxes_of(1), [[0, 0, 1, 1], [2, 2, 4, 4]])
    np.testing.assert_allclose(items.fraction_boxes()[0], [1 / 6, 1 / 20, 3 / 6, 4 / 20])
    assert len(collect_annotated_films("nothing", BOXES, FILMS, number_patients(FILMS))) == 0


def test_the_order_of_films_and_boxes_does_not_matter() -> None:
    shuffled, films = BOXES.iloc[::-1], FILMS.iloc[::-1]
    first = collect_annotated_films("x", BOXES, FILMS, number_patients(FILMS))
    other = collect_annotated_films("x", shuffled, films, number_patients(films))
    np.testing.assert_array_equal(first.boxes, other.boxes)
    np.testing.assert_array_equal(first.patients, other.patients)


def test_films_without_a_patient_are_patients_of_their_own() -> None:
    films = pd.DataFrame({"image_id": ["b", "a", "c"], "patient_key": ["", None, "k"]})
    assert len(set(number_patients(films).values())) == 3


@pytest.mark.parametrize("corner", [np.nan, 1.0])
def test_a_box_that_is_none_is_an_error(corner: float) -> None:
    bad = BOXES.assign(x1=[corner, 3, 4, 1, 1], x0=[1, 1, 2, 0, 0])
    with pytest.raises(AnnotationError, match="film b, label 'x'"):
        collect_annotated_films("x", bad, FILMS, number_patients(FILMS))
