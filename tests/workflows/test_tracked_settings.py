"""What of a run's settings becomes a param, what a tag, and what makes another tracked run."""

from pathlib import Path
from typing import Any

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.workflows.tracked_settings import later_tags, network_params, track_settings


class Listener(NullTracker):
    def identify(self, facts: Any) -> None:
        self.facts = dict(facts)


def _identity(tmp_path: Path, **sections: Any) -> str:
    listener = Listener()
    track_settings(Settings.model_validate({"name": "x", **sections}), RunFolder(tmp_path), listener)
    return str(listener.facts["network_settings"])


def test_params_are_those_of_the_network_alone() -> None:
    params = network_params(Settings(name="x", seed=3))
    assert set(params) == {"name", "seed", "data", "ingest", "model", "train"}
    assert params["seed"] == 3
    assert "workers" not in params["ingest"]


def test_later_settings_are_tags_where_they_are_not_the_default() -> None:
    tags = later_tags(Settings.model_validate({"name": "x", "score": {"bootstrap": 50}}))
    assert {key: value for key, value in tags.items() if value is not None} == {"score.bootstrap": "50"}
    assert tags["explain.methods"] is None


def test_only_what_the_network_follows_from_makes_another_run(tmp_path: Path) -> None:
    first = _identity(tmp_path)
    assert _identity(tmp_path, score={"bootstrap": 50}, track={"overlays": 1}, ingest={"workers": 1}) == first
    for other in ({"seed": 2}, {"train": {"learning_rate": 0.5}}, {"data": {"manifest": "nih"}}):
        assert _identity(tmp_path, **other) != first
