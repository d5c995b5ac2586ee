import pytest

from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.box_thresholds import BoxThreshold
from camray.core.metrics.threshold_selection import thresholds_to_score
from camray.domain.errors import PipelineError
from camray.domain.records import ThresholdSource


def entry(policy: str, source: str, split: str | None, label: str = "a", method: str = "cam") -> BoxThreshold:
    recipe, name = BoxRecipe("max", 0.2), f"{policy}/{method}/{label}"
    return BoxThreshold(name, method, label, policy, ThresholdSource(source), recipe, split, "", 0)


def test_a_threshold_of_the_scored_split_is_refused() -> None:
    entries = [entry("fraction_of_max", "fixed", None), entry("calibrated", "validation", "validation")]
    with pytest.raises(PipelineError, match=r"calibrated/cam/a.*chosen on the split 'validation'.*score\.oracle=true"):
        thresholds_to_score(entries, "validation", oracle=False)


def test_asked_for_it_is_marked_oracle() -> None:
    entries = [entry("fraction_of_max", "fixed", None), entry("calibrated", "validation", "validation")]
    uses = thresholds_to_score(entries, "validation", oracle=True)
    assert [(use.row_method, use.threshold_source) for use in uses] == [("cam", "fixed"), ("cam", "oracle")]


def test_one_use_gathers_all_labels_and_further_policies_get_a_suffix() -> None:
    entries = [
        entry("otsu", "fixed", None),
        entry("fraction_of_max", "fixed", None),
        entry("fraction_of_max", "fixed", None, "b"),
        entry("calibrated", "validation", "validation"),
        entry("quantile", "fixed", None, method="gradcam"),
    ]
    uses = {(use.row_method, use.threshold_source): use for use in thresholds_to_score(entries, "test", oracle=False)}
    assert set(uses) == {("cam:otsu", "fixed"), ("cam", "fixed"), ("cam", "validation"), ("gradcam", "fixed")}
    assert uses["cam", "fixed"].threshold_ids == {"fraction_of_max/cam/a", "fraction_of_max/cam/b"}
    assert uses["cam:otsu", "fixed"].method == "cam"


def test_the_label_only_policy_has_the_plain_name_and_the_cam_papers_its_own() -> None:
    entries = [entry("fraction_of_max", "fixed", None), entry("above_background", "fixed", None)]
    uses = {use.row_method: use.threshold_ids for use in thresholds_to_score(entries, "test", oracle=False)}
    assert uses == {"cam:fraction_of_max": {"fraction_of_max/cam/a"}, "cam": {"above_background/cam/a"}}
