"""The log of a run: lines with times, over several starts, without bars; it never ends a run."""

import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from camray.adapters.progress import progress_line
from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.errors import SettingsError
from camray.io.run_log import run_log

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d (.*)")


def lines(root: Path) -> list[str]:
    matches = map(TIME.fullmatch, (root / "run.log").read_text().splitlines())
    return [match[1] if match else "no time" for match in matches]


def test_what_goes_to_stderr_is_logged_with_times_over_two_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path / "t")
    with run_log(folder, "train"):
        assert not folder.root.exists()
        progress_line("ingest", "8 of 8")
        folder.stage("ingest")
        Console(stderr=True, force_terminal=True).print("[bold]train[/bold] 4 done")
        sys.stdout.write("a film's name\n")
    with pytest.raises(SettingsError), run_log(folder, "score"):
        raise SettingsError("x: no such y")
    with pytest.raises(KeyError), run_log(folder, "score"):
        raise KeyError("Name^Of Patient")
    told = lines(folder.root)
    assert re.fullmatch(r"camray \S+ runs the stages up to train", told[0])
    assert told[1:4] == ["ingest    8 of 8", "train 4 done", "finished"]
    assert [told[5], told[7]] == ["SettingsError: x: no such y", "KeyError"]
    said = capsys.readouterr()
    assert "ingest    8 of 8\n" in said.err
    assert said.out == "a film's name\n"


def test_bars_and_colours_are_left_out(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with run_log(folder, "train"):
        sys.stderr.write("\x1b[?25lingest ━━━━━ 3/8\r\x1b[2Kingest ━━━━━ 8/8\r\x1b[2K\x1b[?25h")
        sys.stderr.write("\x1b[1mingest\x1b[0m 8 of 8 done\ntrain ━━━ 1/8\n\n")
    assert lines(tmp_path)[1:] == ["ingest 8 of 8 done", "finished"]


def test_a_log_that_cannot_be_written_ends_nothing_and_stderr_is_as_before(tmp_path: Path) -> None:
    (tmp_path / "run.log").mkdir()
    before = sys.stderr
    with run_log(RunFolder(tmp_path), "train"):
        sys.stderr.write("a line\n")
    assert sys.stderr is before


def test_further_processes_of_torchrun_write_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    before = sys.stderr
    with run_log(RunFolder(tmp_path), "train"):
        assert sys.stderr is before
    assert not (tmp_path / "run.log").exists()


def test_a_refused_run_without_a_folder_leaves_no_log(tmp_path: Path) -> None:
    with pytest.raises(SettingsError), run_log(RunFolder(tmp_path / "t"), "train"):
        raise SettingsError("x")
    assert not (tmp_path / "t").exists()
