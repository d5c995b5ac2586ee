"""Settings that a run was made with, read again."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from camray import cli
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.settings.stored_digest import with_digest
from camray.adapters.tracking.mlflow import MlflowTracker
from camray.commands.experiment import opened
from camray.domain.errors import PipelineError, SettingsError
from camray.domain.records import Counts, StageResult
from camray.io.artifacts import RunArtifacts
from camray.io.tracking import open_tracker
from camray.workflows import run as run_workflow
from camray.workflows.stage_inputs import Stage
from camray.workflows.stored_settings import overridden, read_settings, settings_of


@pytest.fixture
def run_root(tmp_path: Path) -> Path:
    """A run folder with settings and a folder of training."""
    root = tmp_path / "r"
    RunArtifacts(root).train.folder.mkdir(parents=True)
    stored = with_digest(Settings(name="r").model_dump(mode="json"))
    RunArtifacts(root).settings.write_text(json.dumps(stored))
    return root


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[:40],
    "junk": lambda data: bytes(range(256)),
    "list": lambda data: b"[1, 2]",
    "deep": lambda data: b"[" * 100_000,
    "key": lambda data: data.replace(b'"seed"', b'"sead"'),
    "value": lambda data: data.replace(b'"auto"', b'"autx"'),
    "legal value": lambda data: data.replace(b'"flip": false', b'"flip": true '),
    "digit": lambda data: data.replace(b'"seed": 1', b'"seed": 7'),
    "digest": lambda data: data.replace(b'"settings_sha256": "', b'"settings_sha256": "0'),
    "name of the digest": lambda data: data.replace(b"settings_sha256", b"settings_sha25v"),
    "nameless": lambda data: b"{}",
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("read", [settings_of, read_settings, lambda root: overridden(root, ["score.bootstrap=3"])])
def test_a_damaged_settings_file_is_named_with_the_command_that_writes_it_again(
    run_root: Path, read: Callable[[Path], Settings], how: str
) -> None:
    path = RunArtifacts(run_root).settings
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    with pytest.raises(PipelineError, match=r"(?s)settings\.json.*repeat the command .*`camray run CONFIG`"):
        read(run_root)


def test_a_fault_of_an_override_is_not_blamed_on_the_file(run_root: Path) -> None:
    with pytest.raises(SettingsError, match="unknown key") as refused:
        opened(run_root, ["sead=3"], run_root.parent)
    assert "damaged" not in str(refused.value)
    assert overridden(run_root, ["seed=3"]).seed == 3


STORES = ["http://me:sesame@host:5000", "postgresql+psycopg2://me:sesame@host/db", "http://h/?token=sesame"]


@pytest.fixture(params=STORES)
def old_run(run_root: Path, empty_store: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run beside a store, whose settings hold a password, as an earlier version wrote them."""
    (run_root.parent / "mlflow.db").write_bytes(empty_store.read_bytes())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    plain = {"name": "r", "device": "cpu", "track": {"uri": request.param}}
    RunArtifacts(run_root).settings.write_text(Settings.model_validate(plain).model_dump_json())
    done = Stage("score", lambda *_: StageResult(Counts(1, 1)), (), ("score",))
    monkeypatch.setattr(run_workflow, "stages_for", lambda *_: [done])
    return run_root


def _camray(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["camray", *words])
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _has_password(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and b"sesame" in path.read_bytes()]


@pytest.mark.parametrize(
    ("old_run", "command", "as_json"),
    [
        (STORES[0], "run", ()),
        (STORES[1], "run", ("--json",)),
        (STORES[2], "train", ()),
        (STORES[0], "explain", ("--json",)),
        (STORES[1], "localize", ()),
    ],
    indirect=["old_run"],
)
def test_a_stored_password_stops_what_would_track_with_the_command_that_mends(
    old_run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    as_json: tuple[str, ...],
) -> None:
    before = RunArtifacts(old_run).settings.read_bytes()
    assert _camray(monkeypatch, command, str(old_run), *as_json) == SettingsError.exit_code
    said = capsys.readouterr()
    assert f"`camray run {old_run} track.uri=null`" in said.out + said.err
    assert "sesame" not in said.out + said.err
    assert RunArtifacts(old_run).settings.read_bytes() == before
    assert _camray(monkeypatch, "run", str(old_run), "track.uri=null", *as_json) == 0  # as the message says
    assert _has_password(old_run) == []
    assert _camray(monkeypatch, command, str(old_run), *as_json) == 0


@pytest.mark.parametrize(("old_run", "command"), [(STORES[0], "score"), (STORES[2], "export")], indirect=["old_run"])
def test_a_stored_password_does_not_keep_from_the_results(
    old_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert _camray(monkeypatch, command, str(old_run)) == 0
    said = capsys.readouterr()
    assert f"`camray run {old_run} track.uri=null`" in said.err
    assert "sesame" not in said.out + said.err
    assert _has_password(old_run.parent) == []
    assert not (old_run / "mlflow").exists()
    assert _camray(monkeypatch, "run", str(old_run)) == SettingsError.exit_code  # still not mended


def test_commands_that_read_a_run_do_not_see_its_password(old_run: Path) -> None:
    for settings in (settings_of(old_run), read_settings(old_run), overridden(old_run, ["score.bootstrap=3"])):
        assert settings.track.uri is not None
        assert "sesame" not in settings.track.uri
        with pytest.raises(SettingsError, match="MLFLOW_TRACKING_URI"), open_tracker(settings, RunFolder(old_run)):
            pass
    off = overridden(old_run, ["track.enabled=false"])
    with open_tracker(off, RunFolder(old_run)) as tracker:
        assert not isinstance(tracker, MlflowTracker)


def test_an_override_with_a_password_is_refused_for_a_run_too(run_root: Path) -> None:
    with pytest.raises(SettingsError, match="contains a password") as refused:
        overridden(run_root, ["track.uri=http://me:sesame@host"])
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "override",
    ["data.root=https://me:sesame@host/films", "data={root: https://me:sesame@host}", "model.lungs=ftp://me:sesame@h"],
)
def test_a_password_in_any_override_is_refused_for_a_run_too(override: str, run_root: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        overridden(run_root, ["seed=3", override])
    assert "contains a password" in str(refused.value)
    assert "sesame" not in str(refused.value)
