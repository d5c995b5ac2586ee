"""Options of methods on the command line: the same names, values and limits as in settings."""

import pytest

from camray.adapters.settings.schema import ExplainSettings
from camray.core.explain.method_options import DEFAULT_OPTIONS, IntegrationOptions, OcclusionOptions
from camray.domain.errors import SettingsError
from camray.io.method_options import changed_options, check_options_belong

OCCLUSION, INTEGRATION = ["occlusion"], ["integrated_gradients"]


def test_without_changes_the_options_are_those_of_the_settings() -> None:
    assert changed_options(ExplainSettings(), (), OCCLUSION) == DEFAULT_OPTIONS
    own = ExplainSettings.model_validate({"occlusion": {"patch_px": 9, "border": "inside"}})
    assert changed_options(own, (), OCCLUSION).occlusion == OcclusionOptions(9, None, None, "inside")


def test_changes_win_and_leave_the_rest() -> None:
    own = ExplainSettings.model_validate({"occlusion": {"patch_px": 9, "fill": 0.5}})
    changes = ["explain.occlusion.patch_px=16", "explain.occlusion.step_px=4", "explain.occlusion.patch_px=8"]
    assert changed_options(own, changes, ["occlusion_coarse_to_fine"]).occlusion == OcclusionOptions(8, 4, 0.5)
    changes = ["explain.integrated_gradients.rule=riemann_left", "explain.integrated_gradients.steps=7"]
    options = changed_options(own, changes, INTEGRATION)
    assert options.integrated_gradients == IntegrationOptions("riemann_left", 0.05, 7)
    assert options.occlusion == OcclusionOptions(9, None, 0.5)


@pytest.mark.parametrize(
    ("change", "methods", "said"),
    [
        ("explain.occlusion.pach_px=4", OCCLUSION, "did you mean 'explain.occlusion.patch_px'"),
        ("explain.occlusion.patch_px=0", OCCLUSION, "explain.occlusion.patch_px: .*greater than or equal to 1"),
        ("explain.integrated_gradients.rule=riemannleft", INTEGRATION, "did you mean 'riemann_left'"),
        ("patch_px=4", OCCLUSION, "did you mean 'explain.occlusion.patch_px'"),
        ("explain.flip=true", OCCLUSION, "no option of a method"),
        ("explain.occlusion.patch_px", OCCLUSION, "expected explain.occlusion.patch_px=VALUE"),
        ("explain.occlusion.step_px=4", ["gradcam"], "an option of occlusion or .*; gradcam: no options"),
        (
            "explain.occlusion.step_px=4",
            INTEGRATION,
            "an option of occlusion or .*; integrated_gradients: did you mean 'explain.integrated_gradients.steps'",
        ),
    ],
)
def test_a_wrong_option_is_refused_with_the_near_one(change: str, methods: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        changed_options(ExplainSettings(), [change], methods)


def test_other_settings_are_not_looked_at_where_only_options_are_checked() -> None:
    check_options_belong(["train.max_epochs=1", "explain.flip=true", "explain.occlusion.fill=0"], OCCLUSION)
