import pytest

from camray.core.localization.default_method import default_method, default_thresholds


def _entry(source: str, method: str = "cam", label: str | None = "Mass", policy: str = "p") -> dict[str, object]:
    return {"id": f"{policy}/{method}/{label}", "method": method, "label": label, "source": source}


def test_cam_comes_first_wherever_it_stands() -> None:
    assert default_method(["gradcam", "cam"]) == "cam"
    assert default_method(["gradcam", "layercam"]) == "gradcam"
    with pytest.raises(ValueError, match="no explanation method"):
        default_method([])


def test_validation_before_fixed_and_never_the_oracle() -> None:
    entries = [_entry("fixed", policy="f"), _entry("oracle", policy="o"), _entry("validation", policy="v")]
    assert default_thresholds(entries, "cam", ["Mass"])["Mass"]["id"] == "v/cam/Mass"
    assert default_thresholds(entries[:2], "cam", ["Mass"])["Mass"]["id"] == "f/cam/Mass"
    assert default_thresholds(entries[1:2], "cam", ["Mass"]) == {}


def test_each_label_and_method_has_its_own() -> None:
    entries = [
        _entry("validation"),
        _entry("fixed", label="Effusion"),
        _entry("validation", method="gradcam", label="Effusion"),
    ]
    shown = default_thresholds(entries, "cam", ["Mass", "Effusion", "Other"])
    assert {label: entry["source"] for label, entry in shown.items()} == {"Mass": "validation", "Effusion": "fixed"}


def test_an_entry_without_label_holds_for_all_and_the_first_wins() -> None:
    entries = [_entry("fixed", label=None, policy="a"), _entry("fixed", policy="b")]
    shown = default_thresholds(entries, "cam", ["Mass", "Effusion"])
    assert [entry["id"] for entry in shown.values()] == ["a/cam/None", "a/cam/None"]
