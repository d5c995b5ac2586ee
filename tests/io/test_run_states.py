"""States of the folders in a runs folder, and the commands that list, show and delete runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from camray.adapters.run_folders.digests import digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.stored_digest import with_digest
from camray.commands.app import app
from camray.domain.errors import SettingsError
from camray.domain.records import Counts, StageResult
from camray.domain.stage_names import STAGE_NAMES
from camray.io.run_states import run_state, run_states, size_on_disk
from camray.workflows import stage_inputs

FIGURES = {"mean_auroc": 0.875, "mean_hit_rate": 0.5}
READS = {"train": ("ingest",), "explain": ("train",), "score": ("explain",)}


def make_run(runs: Path, name: str, *stages: str, data: dict[str, Any] | None = None) -> RunFolder:
    folder = RunFolder(runs / name)
    folder.root.mkdir(parents=True)
    plain = {"name": name, "data": data or {"generate": {}}, "train": {}}
    (folder.root / "settings.json").write_text(json.dumps(with_digest(plain)))
    for number, stage in enumerate(stages):
        (folder.stage(stage) / "out.txt").write_text(stage)
        reads = {each: folder.output_digest(each) for each in READS.get(stage, ()) if each in stages}
        folder.finish(stage, {"inputs": reads, "seconds": 1.5}, StageResult(Counts(2, 2), FIGURES))
        record = json.loads((folder.root / stage / "stage.json").read_text())
        record = {key: value for key, value in record.items() if key != "record_sha256"}
        record["finished_at"] = f"2026-01-{len(name):02d}T00:00:{number:02d}+00:00"
        (folder.root / stage / "stage.json").write_text(json.dumps({**record, "record_sha256": digest_of(record)}))
    return folder


def texts(runs: Path) -> dict[str, tuple[str, str]]:
    return {state.root.name: (state.kind, state.text) for state in run_states(runs)}


def test_the_names_of_the_stages_are_those_of_the_pipeline() -> None:
    assert tuple(stage.name for stage in stage_inputs.STAGES) == STAGE_NAMES


def test_every_kind_of_folder_is_named(tmp_path: Path) -> None:
    make_run(tmp_path, "a", *STAGE_NAMES)
    make_run(tmp_path, "new")
    make_run(tmp_path, "begun", "generate", "ingest").begin("train", "digest", {})
    make_run(tmp_path, "films", "ingest", data={"root": "/data/films", "manifest": "folder"})
    make_run(tmp_path, "predicted", "ingest", "explain", "localize", "score", "export")
    old = make_run(tmp_path, "old", *STAGE_NAMES)
    old.finish("ingest", {}, StageResult(Counts(1, 1)))
    (old.root / "ingest" / "out.txt").write_text("other films")
    old.finish("ingest", {}, StageResult(Counts(1, 1)))
    bad = make_run(tmp_path, "bad", "generate", "ingest")
    (bad.root / "ingest" / "stage.json").write_text("{")
    altered = make_run(tmp_path, "altered")
    plain = json.loads((altered.root / "settings.json").read_text())
    (altered.root / "settings.json").write_text(json.dumps({**plain, "name": "other"}))
    (tmp_path / "mlflow-artifacts" / "0").mkdir(parents=True)  # of the tracking store, and of no run
    (tmp_path / "notes" / "0").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    make_run(tmp_path / "two-compare", "inputs")
    make_run(tmp_path, "two-compare/x")
    (tmp_path / "two-compare" / "settings.json").write_text((tmp_path / "new" / "settings.json").read_text())
    assert texts(tmp_path) == {
        "a": ("complete", "complete"),
        "new": ("unfinished", "next generate"),
        "begun": ("unfinished", "interrupted in train"),
        "films": ("unfinished", "next train"),
        "predicted": ("complete", "complete"),
        "old": ("unfinished", "outdated train"),
        "bad": ("damaged", "damaged record of ingest"),
        "altered": ("damaged", "damaged settings"),
        "notes": ("no run", "other files"),
        "empty": ("no run", "empty"),
        "link": ("no run", "a link to another place"),
        "two-compare": ("comparison", "has runs of its own"),
    }


def test_a_run_that_a_process_holds_is_running_and_looking_does_not_take_the_lock(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "t", "generate")
    with folder.locked():
        assert texts(tmp_path) == {"t": ("running", "running (ingest)")}
    files = sorted(tmp_path.rglob("*"))
    assert run_state(folder.root).kind == "unfinished"
    assert sorted(tmp_path.rglob("*")) == files


def test_scores_data_and_times_are_those_of_the_records(tmp_path: Path) -> None:
    make_run(tmp_path, "abc", *STAGE_NAMES)
    make_run(tmp_path, "ab", *STAGE_NAMES[:3], data={"root": "/data/films", "manifest": "folder"})
    newest, older = run_states(tmp_path)
    assert [newest.root.name, older.root.name] == ["abc", "ab"]
    assert (newest.figures, older.figures) == (FIGURES, {})
    assert (newest.data, older.data) == ("generated", "folder: /data/films")
    assert (newest.changed.day, newest.changed.second) == (3, 6)


def test_a_file_with_two_names_takes_its_place_once_and_links_take_none(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "x").write_bytes(bytes(1 << 20))
    (tmp_path / "run").mkdir()
    empty = size_on_disk(tmp_path / "run")
    (tmp_path / "run" / "a").write_bytes(b"1" * (1 << 16))
    (tmp_path / "run" / "b").hardlink_to(tmp_path / "run" / "a")
    (tmp_path / "run" / "link").symlink_to(tmp_path / "big")
    assert 1 << 16 <= size_on_disk(tmp_path / "run") - empty < 1 << 17


def test_a_missing_runs_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be listed .*--runs"):
        run_states(tmp_path / "none")


def invoke(*words: str | Path, answer: str = "") -> tuple[int, str]:
    told = CliRunner().invoke(app, [str(word) for word in words], input=answer)
    return told.exit_code, told.output


def test_runs_are_listed_with_and_without_the_word_list(tmp_path: Path) -> None:
    make_run(tmp_path, "one", *STAGE_NAMES)
    for words in (["runs"], ["runs", "list"]):
        code, text = invoke(*words, "--runs", tmp_path)
        assert code == 0
        assert {"one", "complete", "0.88", "0.50"} <= set(text.split())
    told = json.loads(invoke("runs", "--json", "--runs", tmp_path)[1])["runs"]
    assert [told[0]["mean_auroc"], told[0]["kind"]] == [0.875, "complete"]
    code, text = invoke("runs", "show", tmp_path / "one", "--json")
    assert [(each["stage"], each["state"], each["seconds"]) for each in json.loads(text)["stages"]] == [
        (name, "done", 1.5) for name in STAGE_NAMES
    ]
    assert "ingest" in invoke("runs", "show", tmp_path / "one")[1]


def test_runs_are_deleted_after_a_yes(tmp_path: Path) -> None:
    root = make_run(tmp_path, "one").root
    other = make_run(tmp_path, "two").root
    assert invoke("runs", "rm", root, answer="n\n")[0] == 1
    assert invoke("runs", "rm", root)[0] == 1
    assert invoke("runs", "rm", root, tmp_path, "--yes")[0] != 0  # checked before the first is deleted
    assert root.is_dir()
    assert invoke("runs", "rm", root, answer="y\n")[0] == 0
    assert (root.exists(), other.exists()) == (False, True)


def test_pruning_is_dry_unless_told_and_selects_only_what_was_asked(tmp_path: Path) -> None:
    for name in ("a", "ab", "abc"):
        make_run(tmp_path, name, *STAGE_NAMES)
    make_run(tmp_path, "half", "generate")
    (make_run(tmp_path, "bad", "generate").root / "generate" / "stage.json").write_text("{")
    (tmp_path / "other").mkdir()

    def left() -> set[str]:
        return {path.name for path in tmp_path.iterdir()}

    before = left()
    assert invoke("runs", "prune", "--runs", tmp_path)[0] == 2
    code, text = invoke("runs", "prune", "--runs", tmp_path, "--keep", "2", "--unfinished")
    assert (code, "2 run(s) would be deleted" in text, left()) == (0, True, before)
    invoke("runs", "prune", "--runs", tmp_path, "--keep", "2", "--yes")
    assert left() == before - {"a"}
    invoke("runs", "prune", "--runs", tmp_path, "--unfinished", "--yes")
    assert left() == before - {"a", "half"}
