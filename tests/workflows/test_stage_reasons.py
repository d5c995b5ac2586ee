"""Why stages run again, what a dry run says of them, and that a trained network is not replaced unasked."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from camray.adapters.run_folders.digests import digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.commands.app import app
from camray.domain.errors import IncompleteError, SettingsError
from camray.domain.records import Counts, StageResult
from camray.io.run_lookup import check_keeps_name, free_name, with_free_name
from camray.workflows import run as run_workflow
from camray.workflows.run import Consent, StageReport, run
from camray.workflows.stage_inputs import STAGES, Stage, input_digests, stage_settings
from camray.workflows.stage_reasons import StageReason, plan_stages

TRAIN = next(stage for stage in STAGES if stage.name == "train")


def small(rows: int = 96, epochs: int = 2, seed: int = 1) -> Settings:
    sections = {"data": {"generate": {}}, "ingest": {"rows": rows}, "train": {"max_epochs": epochs}}
    return parse_settings({"name": "t", "device": "cpu", "seed": seed, **sections}, "test")


def work_of(name: str) -> Callable[..., StageResult]:
    def work(settings: Settings, folder: RunFolder, _: object) -> StageResult:
        text = f"{settings.ingest.rows} {settings.train.max_epochs if name == 'train' else ''}"
        (folder.stage(name) / "out.txt").write_text(text)
        return StageResult(Counts(1, 1))

    return work


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run whose first three stages, which only write a line, have finished."""
    stages = [replace(stage, work=work_of(stage.name)) for stage in STAGES[:3]]
    monkeypatch.setattr(run_workflow, "stages_for", lambda *_: stages)
    folder = RunFolder(tmp_path / "t")
    done(small(), folder)
    return folder


def done(settings: Settings, folder: RunFolder, consent: Consent = Consent()) -> list[StageReport]:  # noqa: B008
    return list(run(settings, folder, NullTracker(), "train", consent))


def planned(settings: Settings, folder: RunFolder, *, force: bool = False) -> dict[str, StageReason]:
    return {reason.stage: reason for reason in plan_stages(settings, folder, "explain", force)}


def network(folder: RunFolder) -> str:
    return (folder.root / "train" / "out.txt").read_text()


def test_a_new_run_has_all_stages_before_it_and_a_finished_one_none(trained: RunFolder, tmp_path: Path) -> None:
    new = planned(small(), RunFolder(tmp_path / "new"))
    assert [reason.kind for reason in new.values()] == ["never"] * 4
    assert not (tmp_path / "new").exists()
    assert [reason.kind for reason in planned(small(), trained).values()] == ["done", "done", "done", "never"]


def test_changed_settings_are_named_with_both_values(trained: RunFolder) -> None:
    reasons = planned(small(epochs=5), trained)
    assert (reasons["ingest"].kind, reasons["train"].kind) == ("done", "settings")
    assert reasons["train"].text == "train.max_epochs was 2, now 5"
    assert [reasons["train"].runs, reasons["ingest"].runs] == [True, False]
    films = planned(small(rows=64), trained)
    assert films["ingest"].text == "ingest.rows was 96, now 64"
    assert (films["train"].kind, films["explain"].kind) == ("after", "never")
    assert "reads ingest" in films["train"].text


def test_changed_inputs_missing_outputs_and_damage_are_told_apart(trained: RunFolder) -> None:
    (trained.root / "train" / "out.txt").unlink()
    assert planned(small(), trained)["train"].text == "missing: out.txt"
    record = trained.record("ingest")
    assert record is not None
    (trained.root / "ingest" / "out.txt").write_text("other")
    refused = planned(small(), trained)
    assert (refused["ingest"].kind, refused["ingest"].runs, refused["train"].kind) == ("refused", False, "after")
    trained.finish("ingest", {key: record[key] for key in ("settings", "settings_digest", "inputs")}, work_result())
    assert planned(small(), trained)["train"] == StageReason("train", "input", "changed: outputs of ingest")
    assert planned(small(), trained, force=True)["explain"].kind == "forced"


def work_result() -> StageResult:
    return StageResult(Counts(1, 1))


def test_a_stage_by_another_version_is_up_to_date_and_says_so(
    trained: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camray.workflows.stage_reasons.code_version", lambda: "9.9")
    reason = planned(small(), trained)["train"]
    assert (reason.kind, reason.text.endswith("this is 9.9")) == ("done", True)


@pytest.mark.parametrize(("settings", "said"), [(small(epochs=5), "max_epochs was 2"), (small(rows=64), "rows was 96")])
def test_a_trained_network_is_kept_unless_it_may_be_overwritten(
    trained: RunFolder, settings: Settings, said: str
) -> None:
    before = (trained.root / "settings.json").read_bytes()
    with pytest.raises(SettingsError, match=rf"{said}.*name=NAME.*--overwrite"):
        done(settings, trained)
    assert network(trained) == "96 2"
    assert (trained.root / "settings.json").read_bytes() == before
    assert (trained.root / "ingest" / "out.txt").read_text() == "96 "
    reports = done(settings, trained, Consent(overwrite=True))
    assert said in " ".join(report.again for report in reports)
    assert network(trained) != "96 2"


def test_other_films_with_the_same_settings_do_not_replace_a_network_either(trained: RunFolder) -> None:
    record = trained.record("ingest")
    assert record is not None
    (trained.root / "ingest" / "out.txt").write_text("other films")
    trained.finish("ingest", {key: record[key] for key in ("settings", "settings_digest", "inputs")}, work_result())
    with pytest.raises(SettingsError, match="train: changed: outputs of ingest"):
        done(small(), trained)
    assert network(trained) == "96 2"


def test_repeating_training_by_force_or_resuming_it_needs_no_more_consent(
    trained: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [report.again for report in done(small(), trained, Consent(force=True))] == ["", "", "--force"]
    with pytest.raises(SettingsError, match="--overwrite"):
        done(small(epochs=5), trained, Consent(force=False))
    whole = run_workflow.stages_for(small(), trained, "train")
    broken: list[Stage] = [*whole[:2], replace(whole[2], work=interrupted)]
    monkeypatch.setattr(run_workflow, "stages_for", lambda *_: broken)
    with pytest.raises(IncompleteError):
        done(small(epochs=5), trained, Consent(overwrite=True))
    assert network(trained) == "96 2"
    claim = digest_of(stage_settings(TRAIN, small(epochs=5))), input_digests(TRAIN, small(epochs=5), trained)
    assert trained.has_unfinished("train", *claim)
    assert planned(small(epochs=5), trained)["train"].kind == "interrupted"
    monkeypatch.setattr(run_workflow, "stages_for", lambda *_: whole)
    done(small(epochs=5), trained)
    assert network(trained) == "96 5"


def interrupted(*_: object) -> StageResult:
    raise IncompleteError("x")


def test_the_dry_run_of_the_command_writes_nothing(trained: RunFolder) -> None:
    files = {path: path.stat().st_mtime_ns for path in trained.root.rglob("*")}
    words = ["run", str(trained.root), "train.max_epochs=5", "--dry-run"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "train     runs: train.max_epochs was 2, now 5" in shown.output
    assert "ingest    up to date" in shown.output
    assert "needs --overwrite" in shown.output
    answer = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert [(each["stage"], each["runs"]) for each in answer["stages"][1:4]] == [
        ("ingest", False),
        ("train", True),
        ("explain", True),
    ]
    assert files == {path: path.stat().st_mtime_ns for path in trained.root.rglob("*")}


def test_an_automatic_name_is_the_next_that_no_run_has(tmp_path: Path) -> None:
    automatic = small().model_copy(update={"name": "auto"})
    assert [free_name(tmp_path), with_free_name(automatic, tmp_path).name] == ["exp", "exp"]
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp2-seed1").mkdir()
    assert with_free_name(automatic, tmp_path).name == "exp3"
    assert with_free_name(small(), tmp_path).name == "t"
    with pytest.raises(SettingsError, match=r"settings\.json in its place"):
        check_keeps_name(automatic, tmp_path / "exp")
