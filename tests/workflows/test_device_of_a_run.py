"""A run that was trained on a GPU, on a machine that has none."""

import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from camray import cli
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import config_path
from camray.adapters.tracking.interface import NullTracker
from camray.commands.experiment import opened
from camray.domain.errors import SettingsError
from camray.domain.records import Counts, StageResult
from camray.io.artifacts import artifacts_of
from camray.stages.localize import stage as localize
from camray.workflows.predict import settings_for
from camray.workflows.stage_inputs import check_device
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


@pytest.mark.parametrize("words", ["run", "demo", "train", "explain", "localize", "score", "export", "compare"])
def test_a_gpu_that_is_not_there_is_refused_before_any_film_is_read(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = [] if words == "demo" else [str(config_path("phantom"))]
    monkeypatch.setattr(sys, "argv", ["camray", words, *config, "device=cuda", "--runs", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == SettingsError.exit_code
    assert "no CUDA device; set device=auto or device=cpu" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("until", "is_checked"), [("generate", False), ("ingest", False), ("train", True)])
def test_films_for_a_gpu_can_be_prepared_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: str, is_checked: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = settings_of().model_copy(update={"device": "cuda"})
    with pytest.raises(SettingsError) if is_checked else nullcontext():
        check_device(settings, RunFolder(tmp_path), until)


def test_a_run_that_was_trained_on_a_gpu_is_applied_and_checked_without_one(
    gpu_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for stage in ("train", "localize"):
        gpu_run.finish(stage, {}, StageResult(Counts(1, 1)))
    films = gpu_run.root.parent / "films"
    films.mkdir()
    settings = settings_for(gpu_run.root, films, None, None)
    assert settings.device == "auto"
    check_device(settings, RunFolder(gpu_run.root.parent / "out", trained=gpu_run.root), "export")
