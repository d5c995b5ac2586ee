"""Keys of metrics, params and pictures: every name of a finding is one that MLflow accepts, and has its own."""

import pytest

from camray.adapters.tracking.keys import MAX_CHARACTERS, picture_key, tracking_key

LABELS = [
    *("Mass >3 cm", "Mass <3 cm", "Mass _3 cm", "폐결절", "무기폐", "Épaississement", "e\u0301", "é", "Mass", "mass"),
    *("..", "../x", "..x", ".", "", "/", "a/", "a//b", "a/./b", "a/../b", "a/_/b", "/a", "a\n", "a\t", "a", "(a", "[a"),
    *("x" * 250, "x" * 251, "x" * 252, "\ud800", "100 %", "100 \u2030", "a:b", "Nodule/Mass"),
]


def test_label_names_mlflow() -> None:
    from mlflow.utils.validation import _validate_metric_name, _validate_tag_name

    for prefix in ("", "validation_auroc.", "train/validation_auroc."):
        keys = [tracking_key(prefix + label) for label in LABELS]
        assert len(set(keys)) == len(LABELS)
        for key in keys:
            _validate_metric_name(key)
            _validate_tag_name(key)
            assert len(key) <= MAX_CHARACTERS


@pytest.mark.parametrize("label", ["폐결절", "무기폐", "Épaississement", "Nodule/Mass"])
def test_an_accepted_name_is_not_changed(label: str) -> None:
    assert tracking_key(f"validation_auroc.{label}") == f"validation_auroc.{label}"


def test_keys_of_pictures_stay_apart() -> None:
    keys = [picture_key(label) for label in LABELS]
    assert len(set(keys)) == len(LABELS)
    assert all(key.isascii() and key for key in keys)
