import numpy as np
import pandas as pd

from camray.core.drift.features import film_features, medians, one_film_per_patient, output_features

FILMS = pd.DataFrame(
    {
        "image_id": ["a", "b", "c"],
        "view": pd.array(["PA", "", None], dtype="string"),
        "bits_stored": np.array([12, 12, 8], np.int16),
        "row_spacing_mm": [0.2, np.nan, 0.1],
        "rows": np.array([10, 10, 20], np.int32),
    }
)


def test_header_features_are_texts_and_numbers_and_unknown_ones_are_left_out() -> None:
    features = {each.key: each for each in film_features(FILMS)}
    assert list(features) == ["header/view", "header/bits_stored", "header/row_spacing_mm", "header/rows"]
    assert features["header/view"].values.tolist() == ["PA", "(none)", "(none)"]
    assert features["header/bits_stored"].values.tolist() == ["12", "12", "8"]
    assert features["header/rows"].is_number
    assert medians(film_features(FILMS)) == {"header/row_spacing_mm": 0.15000000000000002, "header/rows": 10.0}


def test_appearance_is_there_where_the_films_have_it() -> None:
    seen = FILMS.assign(voi=["window", "none", "table"], grey_mean=[0.1, 0.2, 0.3], is_doubtful=[False, True, False])
    features = {each.key: each for each in film_features(seen)}
    assert features["header/voi"].values.tolist() == ["window", "none", "table"]
    assert features["appearance/grey_mean"].group == "appearance"
    doubts = features["appearance/is_doubtful"].values
    assert doubts[0] == doubts[2] != doubts[1]


def test_boxes_and_areas_are_of_reported_findings_only() -> None:
    rows = [
        ("a", "Mass", 0, 0, 10, 10),
        ("a", "Mass", 0, 0, 10, 30),
        ("b", "Mass", 0, 0, 50, 50),
        ("c", "Mass", *(np.nan,) * 4),
        ("a", "Edema", 0, 0, 1, 1),
    ]
    boxes = pd.DataFrame(rows, columns=["image_id", "label", "x0", "y0", "x1", "y1"]).assign(film_px=1000.0)
    films = ["a", "b", "c"]
    logits = pd.DataFrame({"Mass": [1.0, -1.0, 2.0], "Edema": [0.0, 0.0, 0.5]}, index=films)
    answers = pd.DataFrame(
        {"Mass": ["reported", "not reported", "reported"], "Edema": ["not judged", "reported", "not reported"]}, films
    )
    found = {each.key: each.values.tolist() for each in output_features(["c", "a", "b"], logits, answers, boxes)}
    assert found["output/Mass/logit"] == [2.0, 1.0, -1.0]
    assert found["output/Mass/answer"] == ["reported", "reported", "not reported"]
    assert found["output/Mass/boxes"] == ["0", "2", "0"]
    assert str(found["output/Mass/area"]) == "[nan, 0.2, nan]"
    assert found["output/Edema/answer"] == ["not reported", "not judged", "reported"]
    assert found["output/Edema/boxes"] == ["0", "0", "0"]


def test_many_boxes_are_one_value() -> None:
    boxes = pd.DataFrame({"image_id": ["a"] * 5, "label": "Mass", "film_px": 100.0})
    boxes = boxes.assign(x0=0.0, y0=0.0, x1=1.0, y1=1.0)
    logits, answers = (pd.DataFrame({"Mass": [value]}, index=["a"]) for value in (1.0, "reported"))
    assert output_features(["a"], logits, answers, boxes)[2].values.tolist() == ["3 or more"]


def test_one_film_of_each_patient_whatever_the_order_of_the_table() -> None:
    films = pd.DataFrame({"image_id": list("abcdef"), "patient_key": ["p", "p", "q", "r", "r", "r"]}, index=range(6))
    chosen = one_film_per_patient(films, 1)
    assert sorted(chosen["patient_key"]) == ["p", "q", "r"]
    turned = films.iloc[::-1].reset_index(drop=True)
    assert set(one_film_per_patient(turned, 1)["image_id"]) == set(chosen["image_id"])
    drawn = {image_id for seed in range(40) for image_id in one_film_per_patient(films, seed)["image_id"]}
    assert drawn == set("abcdef")
    assert one_film_per_patient(films.iloc[:0], 1).empty
