"""Removal of runs: only run folders, whole, and nothing outside them."""

import json
from pathlib import Path

import pytest

from camray.adapters.run_folders import run_removal
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.run_removal import is_half_removed, is_run, remove_run
from camray.domain.errors import IncompleteError, SettingsError
from camray.domain.records import Counts, StageResult

SETTINGS = {"name": "t", "data": {"root": None, "generate": {}}, "train": {}}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run with one finished stage, beside a folder that is not the run's."""
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "f.dcm").write_text("film")
    folder = RunFolder(tmp_path / "t")
    (folder.stage("ingest") / "out.txt").write_text("x")
    folder.finish("ingest", {}, StageResult(Counts(1, 1)))
    (folder.root / "settings.json").write_text(json.dumps(SETTINGS))
    return folder


def paths(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def test_a_run_is_deleted_and_nothing_else(folder: RunFolder, tmp_path: Path) -> None:
    remove_run(folder.root)
    assert paths(tmp_path) == {"films", "films/f.dcm"}


def test_a_begun_run_without_settings_and_an_empty_folder_are_deleted_too(tmp_path: Path) -> None:
    RunFolder(tmp_path / "t").begin("generate", "digest", {})
    (tmp_path / "empty").mkdir()
    remove_run(tmp_path / "t")
    remove_run(tmp_path / "empty")
    assert paths(tmp_path) == set()


@pytest.mark.parametrize("settings", ["{}", "[", '{"editor.tabSize": 4, "name": "t"}'])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, settings: str) -> None:
    (tmp_path / "settings.json").write_text(settings)
    with pytest.raises(SettingsError, match="not a run folder"):
        remove_run(tmp_path)
    with pytest.raises(SettingsError, match="not a run folder"):
        remove_run(tmp_path / "settings.json")
    assert paths(tmp_path) == {"settings.json"}


def test_links_are_refused_unless_they_stay_inside(folder: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder.root)
    with pytest.raises(SettingsError, match="a link"):
        remove_run(tmp_path / "link")
    (folder.root / "export").mkdir()
    (folder.root / "export" / "out").symlink_to(tmp_path / "films")
    with pytest.raises(SettingsError, match=r"export/out: a link that leads out"):
        remove_run(folder.root)
    assert {"t/ingest/out.txt", "films/f.dcm"} <= paths(tmp_path)
    (folder.root / "export" / "out").unlink()
    (folder.root / "export" / "out").symlink_to(folder.root / "ingest")
    remove_run(folder.root)
    assert paths(tmp_path) == {"films", "films/f.dcm", "link"}


def test_the_films_of_a_run_the_working_folder_and_a_running_run_are_kept(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder.locked(), pytest.raises(IncompleteError, match="another process works on this run"):
        remove_run(folder.root)
    monkeypatch.chdir(folder.root / "ingest")
    with pytest.raises(SettingsError, match="working folder"):
        remove_run(folder.root)
    monkeypatch.chdir(folder.root.parent)
    own = {**SETTINGS, "data": {"root": str(folder.root / "fetched")}}
    (folder.root / "settings.json").write_text(json.dumps(own))
    with pytest.raises(SettingsError, match="the films that it was made from"):
        remove_run(folder.root)
    assert (folder.root / "ingest" / "out.txt").is_file()


@pytest.mark.parametrize("has_settings", [True, False])
def test_whatever_a_killed_removal_leaves_is_a_run_without_finished_stages_and_can_be_removed(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, has_settings: bool
) -> None:
    if not has_settings:
        (folder.root / "settings.json").unlink()
    calls: list[object] = []

    def killed(stage: Path) -> None:
        (stage / "stage.json").unlink()  # as `delete` begins
        calls.append(stage)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run_removal, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_run(folder.root)
    assert calls
    assert (folder.root / "ingest" / "out.txt").is_file()
    assert folder.record("ingest") is None
    assert is_run(folder.root)
    assert is_half_removed(folder.root) is not has_settings
    remove_run(folder.root)
    assert not folder.root.exists()
