import pandas as pd
import pytest

from camray.domain.reader_decisions import Decision, DecisionsRead
from camray.workflows.review.film_names import by_image_id

IMAGES = pd.DataFrame(
    {"image_id": ["1.2", "1.3", "1.4", "1.5"], "source": ["a/1.dcm", "a/2.dcm", "b/2.png", "b/1.4.png"]}
)


@pytest.mark.parametrize(
    ("name", "image_id"),
    [
        ("1.2", "1.2"),
        ("a/1.dcm", "1.2"),
        ("1", "1.2"),
        ("1.dcm", "1.2"),
        ("2.png", "1.4"),
        ("b/2", "1.4"),
        ("2", "2"),  # of two films
        ("1.4", "1.4"),  # an image id comes before another film's file name
        ("unknown.png", "unknown.png"),
    ],
)
def test_a_file_name_becomes_the_image_id_if_it_is_one_films_alone(name: str, image_id: str) -> None:
    read = DecisionsRead("x.json", "coco", "", (Decision("reader", name, "Mass", "1"),), (), (), ())
    assert [each.image_id for each in by_image_id(read, IMAGES).decisions] == [image_id]
