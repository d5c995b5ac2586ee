"""Runs by a plan: what is planned and kept, what wins, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from camray.adapters.settings.loading import config_path, load_settings
from camray.commands.app import app
from camray.core.planning.facts import Machine
from camray.domain.errors import InputRefusedError, PipelineError, SettingsError
from camray.stages.ingest import stage as ingest
from camray.workflows.planning import planned_run
from camray.workflows.planning.planned_run import PlannedRun, plan_run, write_planned
from tests.one_worker import map_here
from tests.workflows.planning.films import write_films


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned_run, "this_machine", lambda device: Machine(2))


def planned(root: Path, *overrides: str, minutes: float | None = None, config: Path | None = None) -> PlannedRun:
    run = plan_run(config, root / "my films", list(overrides), minutes, root / "runs")
    write_planned(run)
    return run


def test_a_folder_of_films_is_planned_and_the_plan_can_be_run(tmp_path: Path) -> None:
    write_films(tmp_path / "my films")
    run = planned(tmp_path)
    settings = run.settings
    assert (settings.name, run.folder.root, run.is_new) == ("my-films", tmp_path / "runs" / "my-films", True)
    assert settings.data.root == tmp_path / "my films"
    assert (settings.ingest.rows, settings.ingest.cols) == (128, 80)
    assert (settings.model.backbone, settings.model.weights) == ("efficientnet_lite0", "imagenet")
    assert settings.data.leave_out == ("Chest",)
    assert settings.localize.policies == ("above_background", "fraction_of_max")
    assert load_settings(run.folder.root / "plan.yaml") == settings


def test_the_written_plan_has_each_reason_above_its_settings(tmp_path: Path) -> None:
    write_films(tmp_path / "my films")
    run = planned(tmp_path, "train.batch_size=4", "ingest.rows=96")
    lines = (run.folder.root / "plan.yaml").read_text().splitlines()
    text = next(reason.text for reason in run.plan.reasons if "ingest.cols" in reason.settings)
    assert lines[lines.index(f"  # {text}") + 1] == "  cols: 64"
    assert lines.index("  batch_size: 4") < min(lines.index(f"  # {each.text}") for each in run.plan.reasons[-3:])
    assert any(line.startswith("# Note: 12 films: ") for line in lines)


def test_given_settings_win(tmp_path: Path) -> None:
    write_films(tmp_path / "my films")
    given = ("train.max_epochs=3", "ingest.cols=64", "name=own", "data.leave_out=[]", "localize.policies=[otsu]")
    settings = planned(tmp_path, *given).settings
    assert (settings.train.max_epochs, settings.train.min_steps, settings.ingest.cols) == (3, 0, 64)
    assert (settings.name, settings.data.leave_out, settings.localize.policies) == ("own", (), ("otsu",))
    network = planned(tmp_path, "name=small", "model.backbone=resnet_light").settings
    assert (network.model.backbone, network.model.weights, network.model.pool) == ("resnet_light", None, "gap")
    assert network.train.head_rate == 1


def test_an_experiment_keeps_what_it_names(tmp_path: Path) -> None:
    write_films(tmp_path / "my films")
    config = tmp_path / "mine.yaml"
    config.write_text("name: mine\nmodel: {backbone: resnet_light, stride: 8}\ntrain: {max_epochs: 2}\n")
    settings = planned(tmp_path, config=config).settings
    assert (settings.name, settings.model.stride, settings.train.max_epochs) == ("mine", 8, 2)
    assert settings.ingest.cols == 80


def test_the_same_command_keeps_the_plan_and_another_plans_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_films(tmp_path / "my films")
    first = planned(tmp_path, minutes=5)
    monkeypatch.setattr(planned_run, "this_machine", lambda device: Machine(64, has_gpu=True))
    again = planned(tmp_path, minutes=5)
    assert (again.is_new, again.settings, again.plan.minutes) == (False, first.settings, first.plan.minutes)
    edited = first.folder.root / "plan.yaml"
    edited.write_text("name: edited\n")
    assert not planned(tmp_path, minutes=5).is_new
    assert edited.read_text() == "name: edited\n"
    assert planned(tmp_path, minutes=6).is_new
    assert planned(tmp_path, "train.batch_size=2", minutes=6).is_new
    assert not planned(tmp_path, "train.batch_size=2", "export.formats=[csv]", minutes=6).is_new
    (root / "f99.png").write_bytes((root / "f0.png").read_bytes())
    assert planned(tmp_path, "train.batch_size=2", minutes=6).is_new


@pytest.mark.parametrize("content", ["{", "{}", '{"digest": "x", "plan": {"reasons": [], "warnings": []}}', "[]"])
def test_a_damaged_plan_is_named(tmp_path: Path, content: str) -> None:
    write_films(tmp_path / "my films")
    stored = planned(tmp_path).folder.root / "plan.json"
    stored.write_text(content)
    with pytest.raises(PipelineError, match=r"plan\.json: damaged.*delete it"):
        planned(tmp_path)


def test_what_cannot_be_planned_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    root = write_films(tmp_path / "my films", films=4, present=4)
    with pytest.raises(InputRefusedError, match="no finding can be trained: Mass is present on all 4 films"):
        planned(tmp_path)
    with pytest.raises(SettingsError, match="would be among the films"):
        plan_run(None, root, [], None, root / "runs")
    with pytest.raises(SettingsError, match="without --minutes"):
        plan_run(config_path("phantom"), None, [], 3, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_run_of_other_films_is_not_replaced(tmp_path: Path) -> None:
    write_films(tmp_path / "my films")
    write_films(tmp_path / "other" / "my films")
    run = planned(tmp_path)
    (run.folder.root / "settings.json").write_text(run.settings.model_dump_json())
    with pytest.raises(SettingsError, match="name=NAME"):
        plan_run(None, tmp_path / "other" / "my films", [], None, tmp_path / "runs")
    assert planned(tmp_path).settings == run.settings


SMALL = (
    *("model.backbone=resnet_light", "model.widths=[4,4,8,8]", "train.max_epochs=1", "train.batch_size=4"),
    *(
        "ingest.rows=64",
        "ingest.cols=64",
        "ingest.workers=1",
        "ingest.audit=false",
        "device=cpu",
        "track.enabled=false",
    ),
)


def test_a_second_run_of_the_same_command_skips_every_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "map_processes", map_here)
    films = write_films(tmp_path / "films")
    words = ["run", "--data", str(films), *SMALL, "--runs", str(tmp_path / "runs"), "--until", "train"]
    first, second = (_json(CliRunner().invoke(app, [*words, "--json"])) for _ in range(2))
    assert [stage["skipped"] for stage in first["stages"].values()] == [False, False]
    assert [stage["skipped"] for stage in second["stages"].values()] == [True, True]
    assert second["plan"] == first["plan"]
    assert first["plan"]["values"]["data"] == {"leave_out": ["Chest"]}
    text = CliRunner().invoke(app, words)
    assert text.exit_code == 0
    assert "the same films and settings as before" in text.stderr


def test_a_plan_can_be_made_alone(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films")
    words = ["run", "--data", str(films), "--runs", str(tmp_path / "runs"), "--until", "plan"]
    shown = CliRunner().invoke(app, words).stderr
    assert "ingest.rows=128 ingest.cols=80: films are 96 x 64 px" in shown
    assert f"camray run {tmp_path}/runs/films/plan.yaml" in shown.replace("\n", "")
    plain = _json(CliRunner().invoke(app, [*words, "--json"]))
    assert plain["plan"]["values"]["ingest"] == {"rows": 128, "cols": 80}
    assert {path.name for path in (tmp_path / "runs" / "films").iterdir()} <= {"plan.yaml", "plan.json", ".lock"}
    assert CliRunner().invoke(app, ["run", str(films / "x.yaml"), "--until", "plan"]).exit_code != 0


def _json(result: Any) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_commands_without_films_say_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for words, text in (
        (["run"], "Invalid value for CONFIG"),
        (["run", "--minutes", "3"], "--minutes: name an experiment"),
        (["run", str(tmp_path / "run"), "--minutes", "3"], "which no plan changes"),
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code != 0
        assert text in f"{result.output}{result.exception}"
