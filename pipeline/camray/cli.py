"""The command line: gathers the commands, runs one, sets the exit code. No logic.

Exit codes: 0 done, 1 internal, 2 usage or settings, 3 input refused entirely, 4 stage incomplete (run again to resume).
"""

import os
import signal
import sys
import traceback
from types import FrameType
from typing import Any, NoReturn

import typer
from rich.markup import escape

from camray.commands import compare, data, diff, experiment, gallery, lungs, pacs, review, sanity, settings, show, track
from camray.commands.arguments import console, print_json
from camray.domain.errors import IncompleteError, PipelineError

app = typer.Typer(
    name="camray",
    help="Lesion boxes on chest radiographs from image-level labels alone, with honest scores.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks print local variables, which may hold identifiers
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (experiment.app, pacs.app, show.app, gallery.app, diff.app, sanity.app, compare.app, settings.app):
    app.add_typer(commands)
app.add_typer(track.app, name="track")
app.add_typer(data.app, name="data")
app.add_typer(lungs.app, name="lungs")
app.add_typer(review.app, name="review")


INTERRUPTED = 130  # what typer makes of Ctrl-C
GOES_ON = "the same command goes on where it stopped"


def main() -> None:
    """Run the command line; every error becomes a message, or one JSON object after --json, and an exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background ignores it
        signal.signal(signal.SIGINT, _interrupt)
    try:
        code = app(prog_name="camray", standalone_mode=False)
    except typer.Exit as done:
        code = done.exit_code
    except PipelineError as error:
        _end(type(error).__name__, str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last door: whatever is left is ours to explain
        if hasattr(error, "format_message"):  # click's usage errors
            _end("usage", _usage(error), 2)
        _end_internal(error)
    if code == INTERRUPTED:
        _end("interrupted", GOES_ON, IncompleteError.exit_code)
    if isinstance(code, int) and code:  # what typer.Exit said
        sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Answer Ctrl-C: at once while modules are loaded, whose native parts abort on Python's own answer."""
    above = frame
    while above is not None:
        if above.f_globals.get("__name__") == "importlib._bootstrap":
            _say("interrupted", GOES_ON, IncompleteError.exit_code)
            sys.stdout.flush()
            os._exit(IncompleteError.exit_code)
        above = above.f_back
    signal.default_int_handler(number, frame)


def _usage(error: Any) -> str:
    """Say what was wrong with the words of the command line, and which page of help tells more."""
    context = getattr(error, "ctx", None)
    words = "camray" if context is None else " ".join(["camray", *context.command_path.split()[1:]])
    said = error.format_message().rstrip(".")
    return f"{said}{'' if said.endswith('?') else ';'} see {words} --help"


def _end_internal(error: Exception) -> NoReturn:
    shows_text = bool(os.environ.get("CAMRAY_DEBUG"))
    detail = f": {error}" if shows_text else "; CAMRAY_DEBUG=1 shows its text, which may hold data"
    if not _is_for_machines():
        console.print(escape("".join(traceback.format_tb(error.__traceback__))), end="", soft_wrap=True)
    _end("internal error", f"{type(error).__name__}{detail}", 1)


def _end(kind: str, message: str, exit_code: int) -> NoReturn:
    _say(kind, message, exit_code)
    sys.exit(exit_code)


def _say(kind: str, message: str, exit_code: int) -> None:
    """Tell why it ends: people on stderr, machines on stdout."""
    if _is_for_machines():
        print_json({"error": {"kind": kind, "message": message, "exit_code": exit_code}})
    else:
        console.print(f"[bold red]{kind}[/bold red]: {escape(message)}", highlight=False, soft_wrap=True)


def _is_for_machines() -> bool:
    return "--json" in sys.argv[1:]


if __name__ == "__main__":
    main()
