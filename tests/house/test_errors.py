"""How camray ends: exit codes, messages to people, one JSON object to machines, and Ctrl-C at any moment."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from camray import cli
from camray.adapters.run_folders.run_folder import RunFolder
from camray.commands import user_environment
from camray.commands.arguments import print_json
from camray.domain.errors import SettingsError
from camray.workflows import run as run_workflow


def _ends(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["camray", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("frobnicate",), "usage: No such command 'frobnicate'; see camray --help\n"),
        (("ingest",), "usage: Missing argument 'config'; see camray ingest --help\n"),
        (("track", "syn"), "usage: No such command 'syn'. Did you mean 'sync'? see camray track --help\n"),
        (("visualise", "x", "--zzzz", "3"), "usage: No such option: --zzzz; see camray visualise --help\n"),
        (
            ("show", "x.dcm", "--patch-px", "16"),
            "usage: No such option: --patch-px; settings are given without dashes: explain.occlusion.patch_px=16; see "
            "camray show --help\n",
        ),
    ],
)
def test_wrong_words_name_the_page_that_helps(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ends(monkeypatch, *words) == 2
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("command", ["run", "compare", "ingest", "train", "export", "settings", "demo"])
@pytest.mark.parametrize(
    ("words", "setting"),
    [
        (("--name", "X"), "name=X"),
        (("--epochs", "3"), "train.max_epochs=3 or train.warmup_epochs=3"),
        (("--seed=7",), "seed=7"),
        (("--devce",), "device=VALUE"),
        (("--zzz",), "for instance train.max_epochs=3"),
    ],
)
def test_an_option_that_is_a_setting_tells_how_settings_are_given(
    command: str,
    words: tuple[str, ...],
    setting: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _ends(monkeypatch, command, *words) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"usage: No such option: {words[0].partition('=')[0]}")
    assert said.endswith(f"; settings are given without dashes: {setting}; see camray {command} --help\n")


def test_machines_get_one_object_and_the_same_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert _ends(monkeypatch, "run", str(tmp_path / "no.yaml"), "--json") == 2
    shown = capsys.readouterr()
    error = json.loads(shown.out)["error"]
    assert (error["kind"], error["exit_code"], shown.err) == ("SettingsError", 2, "")
    assert "no such settings file" in error["message"]
    assert _ends(monkeypatch, "run", "--json") == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "usage"


def test_what_is_no_number_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [float("nan"), np.float32(0.5), np.int64(3)], "b": {1: (float("inf"), Path("x"))}})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 0.5, 3], "b": {"1": [None, "x"]}}


@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_while_it_starts_is_told(number: int, seconds: float, tmp_path: Path) -> None:
    words = ["camray", "demo", "--runs", str(tmp_path)]
    code = f"""import sys
from camray import cli
sys.argv = {words}
run = cli._run
cli._run = lambda: print("ready", flush=True) or run()  # as soon as signals are handled
cli.main()"""
    started = subprocess.Popen(  # in a session of its own, with Ctrl-C as a terminal gives it
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a background shell or nohup ignores it
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    time.sleep(seconds)
    os.killpg(started.pid, number)
    try:
        _, said = started.communicate(timeout=200)
    finally:
        started.kill()
    told = [line for line in said.splitlines() if not line.startswith("run  ")]  # the run may have been named by then
    assert (started.returncode, told) == (4, ["interrupted: run the same command again to resume"])


INTERRUPTS = {
    "in a destructor": """
class Film:
    def __del__(self):
        interrupt()
cli._run = lambda: [Film()] and None""",
    "while a module is imported and the console does not work yet": """
sys.modules["camray.commands.arguments"] = SimpleNamespace(console=SimpleNamespace(print=None))
pathlib.Path("late_module.py").write_text("import __main__; __main__.interrupt()")
cli._run = lambda: __import__("late_module")""",
    "that native code turns into another error": """
def app(**_):
    try:
        interrupt()
    except KeyboardInterrupt:
        raise ValueError("damaged table")
sys.modules["camray.commands.app"] = SimpleNamespace(app=app)""",
    "that comes twice": """
def work():
    try:
        interrupt()
    finally:
        interrupt()
        print("cleaned up")
cli._run = work""",
    "while Python ends": """
cli._run = lambda: 0
atexit.register(interrupt)""",
}


@pytest.mark.parametrize("where", INTERRUPTS)
def test_an_interrupt_anywhere_is_one_line(where: str, tmp_path: Path) -> None:
    code = f"""import atexit, os, pathlib, signal, sys
from types import SimpleNamespace
from camray import cli
def interrupt():
    os.kill(os.getpid(), signal.SIGTERM)
    sum(range(1000))
sys.argv, sys.path = ["camray"], [*sys.path, "."]
{INTERRUPTS[where]}
cli.main()"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (ended.returncode, ended.stderr) == (4, "interrupted: run the same command again to resume\n")
    assert ended.stdout == ("cleaned up\n" if where == "that comes twice" else "")


def test_the_entry_imports_nothing_that_takes_long() -> None:
    code = "import sys; import camray.cli; print([n for n in sys.modules if n in {'typer', 'rich'}])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"


def test_a_full_disk_is_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x.json")

    monkeypatch.setattr(run_workflow, "write_json", full)
    assert _ends(monkeypatch, "run", "configs/phantom.yaml", "--runs", str(tmp_path), "track.enabled=false") == 4
    assert "IncompleteError: the run stopped: No space left on device (" in capsys.readouterr().err
    monkeypatch.setattr(run_workflow, "stages_for", full)  # anywhere else
    assert _ends(monkeypatch, "run", "configs/phantom.yaml", "--runs", str(tmp_path), "track.enabled=false") == 4
    assert capsys.readouterr().err == (
        f"run       {tmp_path}/phantom\n"
        "IncompleteError: x.json: No space left on device; correct the cause and run the same command again to resume\n"
    )


@pytest.mark.parametrize("name", ["stage.json", "begin.json"])
def test_a_folder_in_place_of_a_file_is_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    (tmp_path / "phantom" / "generate" / name).mkdir(parents=True)
    words = ("run", "configs/phantom.yaml", "--runs", str(tmp_path), "track.enabled=false", "--until", "generate")
    assert _ends(monkeypatch, *words, "data.generate.films=8") == 4
    assert "Is a directory" in capsys.readouterr().err


def test_a_user_whom_the_machine_does_not_know_can_import_everything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(user_environment.getpass, "getuser", unknown)
    monkeypatch.setattr(user_environment.os, "access", lambda *_: False)
    monkeypatch.setattr(user_environment.tempfile, "tempdir", str(tmp_path))
    for name in ("USER", "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    user_environment.prepare_environment()
    assert os.environ["USER"] == f"uid{os.getuid()}"
    assert Path(os.environ["NUMBA_CACHE_DIR"]).parent == tmp_path


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(SettingsError, match=r"file/run: the folder cannot be written \(Not a directory\)"),
        RunFolder(tmp_path / "file" / "run").locked(),
    ):
        pass


def test_a_run_that_cannot_be_written_is_not_sent_to_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("camray.adapters.run_folders.run_lock.FileLock.acquire", refused)
    with (
        pytest.raises(SettingsError, match=r"\(Read-only file system\); allow writing there, or copy the run") as told,
        RunFolder(tmp_path).locked(),
    ):
        pass
    assert "--runs" not in str(told.value)


def _camray(*words: str, stdout: str = os.devnull, stderr: str = os.devnull, closed: tuple[int, ...] = ()) -> int:
    """Run a command with these files in place of its streams; return its exit code."""
    with Path(stdout).open("wb") as out, Path(stderr).open("wb") as err:
        done = subprocess.run(
            [sys.executable, "-m", "camray", *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            preexec_fn=lambda: [os.close(number) for number in closed],
            timeout=200,
            check=False,
        )
    return done.returncode


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("weights", "list", "--json"), 4),
        (("weights", "list"), 4),
        (("settings", "no.yaml", "--json"), 2),
    ],
)
def test_a_full_stdout_is_told_on_stderr(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    said = tmp_path / "stderr"
    assert _camray(*words, stdout="/dev/full", stderr=str(said)) == code
    assert said.read_text().startswith("SettingsError: no.yaml: no such" if code == 2 else "IncompleteError: No space")
    assert said.read_text().count("\n") == 1


def test_a_full_stderr_changes_no_exit_code() -> None:
    assert _camray("settings", "no.yaml", stderr="/dev/full") == 2


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_no_file_takes_the_place_of_a_closed_stream(closed: tuple[int, ...]) -> None:
    assert _camray("weights", "list", "--json", closed=closed) == 0
    code = "from camray import cli; import os; cli._run = lambda: 10 + os.open('/dev/null', os.O_RDONLY); cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: [os.close(number) for number in closed],
        check=False,
    )
    assert done.returncode >= 13  # the first file is no standard stream


def test_a_reader_that_went_away_is_no_error(tmp_path: Path) -> None:
    said = tmp_path / "stderr"
    read, write = os.pipe()
    os.close(read)
    assert _camray("weights", "list", "--json", stdout=f"/proc/self/fd/{write}", stderr=str(said)) == 1
    os.close(write)
    assert said.read_text() == ""


def test_a_deleted_working_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert _ends(monkeypatch, "card", str(tmp_path)) == 2
    assert "working folder cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_a_character_gets_its_code(encoding: str) -> None:
    code = "import camray.cli as cli; cli._escape_what_cannot_be_written(); print('\\u2265')"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert ended.stdout == b"\\u2265\n"
