"""Settings that a stage's record holds: those added later only where they differ from their default."""

from camray.adapters.settings.schema import Settings
from camray.workflows.run import STAGES, _sections

EXPLAIN = next(stage for stage in STAGES if stage.name == "explain")


def test_added_settings_at_their_default_do_not_outdate_older_runs() -> None:
    plain = Settings.model_validate({"name": "t"})
    assert not {"integrated_gradients", "occlusion"} & set(_sections(EXPLAIN, plain)["explain"])
    changed = Settings.model_validate({"name": "t", "explain": {"occlusion": {"fill": 0.0}}})
    assert _sections(EXPLAIN, changed)["explain"]["occlusion"]["fill"] == 0.0
    assert "integrated_gradients" not in _sections(EXPLAIN, changed)["explain"]
