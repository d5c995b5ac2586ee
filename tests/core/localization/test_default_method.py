import pytest

from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.box_thresholds import BoxThreshold
from camray.core.localization.default_method import default_method, default_thresholds
from camray.domain.records import ThresholdSource


def _entry(source: str, method: str = "cam", label: str = "Mass", policy: str = "p") -> BoxThreshold:
    recipe, name = BoxRecipe("max", 0.2), f"{policy}/{method}/{label}"
    return BoxThreshold(name, method, label, policy, ThresholdSource(source), recipe, None, "", 0)


def test_cam_comes_first_wherever_it_stands() -> None:
    assert default_method(["gradcam", "cam"]) == "cam"
    assert default_method(["gradcam", "layercam"]) == "gradcam"
    with pytest.raises(ValueError, match="no explanation method"):
        default_method([])


def test_validation_before_fixed_and_never_the_oracle() -> None:
    entries = [_entry("fixed", policy="f"), _entry("oracle", policy="o"), _entry("validation", policy="v")]
    assert default_thresholds(entries, "cam", ["Mass"])["Mass"].id == "v/cam/Mass"
    assert default_thresholds(entries[:2], "cam", ["Mass"])["Mass"].id == "f/cam/Mass"
    assert default_thresholds(entries[1:2], "cam", ["Mass"]) == {}


def test_each_label_and_method_has_its_own() -> None:
    entries = [
        _entry("validation"),
        _entry("fixed", label="Effusion"),
        _entry("validation", method="gradcam", label="Effusion"),
    ]
    shown = default_thresholds(entries, "cam", ["Mass", "Effusion", "Other"])
    assert {label: entry.source for label, entry in shown.items()} == {"Mass": "validation", "Effusion": "fixed"}


def test_the_first_of_equals_wins() -> None:
    entries = [_entry("fixed", policy="a"), _entry("fixed", policy="b")]
    assert default_thresholds(entries, "cam", ["Mass"])["Mass"].id == "a/cam/Mass"
