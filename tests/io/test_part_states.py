"""Progress of parts as `camray runs show` has it."""

import json
from pathlib import Path

from typer.testing import CliRunner

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.part_folders import PartFolder, StageParts
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.commands.app import app
from camray.domain.parts import Part
from camray.io.part_states import parts_states
from camray.io.run_states import run_state

KEY = "0123456789abcdef"


def _begin(root: Path, part: Part, done: list[int], units: int = 7) -> PartFolder:
    own = StageParts(root, "explain", KEY).part(part, {"stage": "explain"})
    own.begin(units)
    for unit in done:
        file = own.folder / f"{unit}.bin"
        file.write_bytes(b"x")
        own.finish(unit, [file])
    return own


def _run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "t")
    write_json(folder.root / "settings.json", Settings(name="t").model_dump(mode="json"))
    return folder


def test_shards_of_each_part_are_counted_and_those_of_all_once(tmp_path: Path) -> None:
    folder = _run(tmp_path)
    assert parts_states(folder.root) == ()
    _begin(folder.root, Part(3, 1), [0, 3, 6])
    _begin(folder.root, Part(3, 2), [4])
    _begin(folder.root, Part(2, 1), [0, 4])
    (state,) = parts_states(folder.root)
    assert (state.stage, state.key, state.done, state.units) == ("explain", KEY, 4, 7)
    assert [(each.part, each.state, each.done, each.units) for each in state.parts] == [
        ("1/2", "begun", 2, 4),
        ("2/2", "not begun", 0, 3),
        ("1/3", "complete", 3, 3),
        ("2/3", "begun", 1, 2),
        ("3/3", "not begun", 0, 2),
    ]


def test_a_run_with_a_part_at_work_is_running(tmp_path: Path) -> None:
    folder = _run(tmp_path)
    own = _begin(folder.root, Part(2, 2), [1])
    assert run_state(folder.root).kind == "unfinished"
    with folder.shared(), own.locked():
        assert (run_state(folder.root).kind, run_state(folder.root).text) == ("running", "running (parts: explain 2/2)")
        told = CliRunner().invoke(app, ["runs", "rm", str(folder.root), "--yes"])
        assert told.exit_code != 0
        assert own.folder.is_dir()


def test_runs_show_tells_people_and_programs(tmp_path: Path) -> None:
    folder = _run(tmp_path)
    _begin(folder.root, Part(2, 2), [1])
    text = CliRunner().invoke(app, ["runs", "show", str(folder.root)]).output
    assert "parts     explain 1 of 7 shards: 1/2 not begun, 2/2 1 of 3 begun" in text
    told = json.loads(CliRunner().invoke(app, ["runs", "show", str(folder.root), "--json"]).output)["parts"]
    assert told == [
        {
            "stage": "explain",
            "key": KEY,
            "done": 1,
            "shards": 7,
            "parts": [
                {"part": "1/2", "state": "not begun", "done": 0, "shards": 4},
                {"part": "2/2", "state": "begun", "done": 1, "shards": 3},
            ],
        }
    ]


def test_a_part_whose_description_is_damaged_counts_what_it_recorded(tmp_path: Path) -> None:
    folder = _run(tmp_path)
    own = _begin(folder.root, Part(1, 1), [0, 2])
    (own.folder / "part.json").write_text("{")
    (state,) = parts_states(folder.root)
    assert (state.done, state.units, state.parts[0].state) == (2, 0, "begun")
