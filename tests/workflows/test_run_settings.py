"""The settings file of a run whose stages refuse an override, are interrupted, or end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.domain.errors import CheckpointError, IncompleteError, ManifestError, SettingsError
from camray.domain.records import Counts, StageResult
from camray.io.artifacts import artifacts_of
from camray.workflows import run as run_workflow
from camray.workflows.predict import folder_of
from camray.workflows.run import run, run_these
from camray.workflows.stage_inputs import Stage

Work = Callable[..., StageResult]
FORMER = b'{"name": "t",  "seed": 1}\n'  # not as camray lays it out


def _done(*_: object) -> StageResult:
    return StageResult(Counts(1, 1))


def _raises(error: BaseException) -> Work:
    def work(*_: object) -> StageResult:
        raise error

    return work


@pytest.fixture
def run_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[RunFolder, Work, Work], None]:
    def run_it(folder: RunFolder, train: Work, explain: Work) -> None:
        stages = [Stage("train", train, (), ("train",)), Stage("explain", explain, ("train",), ("explain",))]
        monkeypatch.setattr(run_workflow, "stages_for", lambda *_: stages)
        list(run(Settings(name="t", seed=7), folder, NullTracker()))

    return run_it


@pytest.mark.parametrize("error", [SettingsError("x"), ManifestError("x"), CheckpointError("x"), ZeroDivisionError()])
@pytest.mark.parametrize("number", [0, 1])
def test_refused_settings_leave_those_of_the_run_as_they_were(
    tmp_path: Path, run_with: Callable[[RunFolder, Work, Work], None], error: Exception, number: int
) -> None:
    folder = RunFolder(tmp_path / "t")
    (folder.stage("train").parent / "settings.json").write_bytes(FORMER)
    with pytest.raises(type(error)):
        run_with(folder, *((_raises(error), _done), (_done, _raises(error)))[number])
    assert artifacts_of(folder).settings.read_bytes() == FORMER


@pytest.mark.parametrize("error", [IncompleteError("x"), OSError(28, "full"), KeyboardInterrupt()])
def test_an_interrupted_run_keeps_the_settings_that_it_resumes_with(
    tmp_path: Path, run_with: Callable[[RunFolder, Work, Work], None], error: BaseException
) -> None:
    folder = RunFolder(tmp_path / "t")
    (folder.stage("train").parent / "settings.json").write_bytes(FORMER)
    with pytest.raises((IncompleteError, KeyboardInterrupt)):
        run_with(folder, _done, _raises(error))
    assert b'"seed": 7' in artifacts_of(folder).settings.read_bytes()


def test_stages_of_a_comparison_keep_the_former_settings_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path / "t")
    (folder.stage("train").parent / "settings.json").write_bytes(FORMER)
    monkeypatch.setattr(run_workflow, "STAGES", [Stage("train", _raises(SettingsError("x")), (), ("train",))])
    with pytest.raises(SettingsError):
        list(run_these(("train",), Settings(name="t", seed=7), folder, NullTracker()))
    assert artifacts_of(folder).settings.read_bytes() == FORMER


def test_a_refused_first_run_blocks_no_later_one(
    tmp_path: Path, run_with: Callable[[RunFolder, Work, Work], None]
) -> None:
    folder = RunFolder(tmp_path / "t")
    for train, explain in ((_raises(CheckpointError("x")), _done), (_done, _raises(SettingsError("x")))):
        with pytest.raises((CheckpointError, SettingsError)):
            run_with(folder, train, explain)
        assert not artifacts_of(folder).settings.exists()
        artifacts_of(folder).log.touch()
        assert folder_of(tmp_path / "trained", folder.root).root == folder.root  # `predict --out` again
    run_with(folder, _done, _done)
    assert b'"seed": 7' in artifacts_of(folder).settings.read_bytes()


def test_a_trained_run_stays_readable_where_no_setting_is_at_fault(
    tmp_path: Path, run_with: Callable[[RunFolder, Work, Work], None]
) -> None:
    folder = RunFolder(tmp_path / "t")
    with pytest.raises(ZeroDivisionError):
        run_with(folder, _done, _raises(ZeroDivisionError()))
    assert artifacts_of(folder).settings.is_file()


def test_a_folder_with_other_files_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(SettingsError, match="not a camray run"):
        folder_of(tmp_path / "trained", tmp_path / "out")
