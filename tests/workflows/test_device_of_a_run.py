"""A run that was trained on a GPU, on a machine that has none."""

from pathlib import Path

import pytest
import torch

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.commands.experiment import opened
from camray.domain.errors import SettingsError
from camray.io.artifacts import artifacts_of
from camray.stages.localize import stage as localize
from camray.workflows.stored_settings import settings_of as stored_settings
from tests.scored_run import make_run, settings_of


@pytest.fixture
def gpu_run(tmp_path: Path) -> RunFolder:
    """A run whose settings name a GPU; its films stay as they are."""
    folder = make_run(tmp_path / "run", ("a",), 6)
    settings = settings_of().model_copy(update={"device": "cuda"})
    artifacts_of(folder).settings.write_text(settings.model_dump_json())
    artifacts_of(folder).train.folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize(("has_gpu", "device"), [(False, "auto"), (True, "cuda")])
def test_stored_settings_do_not_bind_the_device(
    gpu_run: RunFolder, monkeypatch: pytest.MonkeyPatch, has_gpu: bool, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert stored_settings(gpu_run.root).device == device
    assert opened(gpu_run.root, ["score.bootstrap=0"], gpu_run.root.parent)[0].device == device


@pytest.mark.parametrize("override", ["device=cuda", "device=cpu"])
def test_a_device_that_is_given_binds(gpu_run: RunFolder, monkeypatch: pytest.MonkeyPatch, override: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert f"device={opened(gpu_run.root, [override], gpu_run.root.parent)[0].device}" == override


def test_lung_zones_on_a_gpu_that_is_not_there_are_a_settings_error(
    gpu_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = settings_of().model_copy(update={"device": "cuda"})
    with pytest.raises(SettingsError, match="no CUDA device; set device=auto"):
        localize.run(settings, gpu_run, NullTracker())
