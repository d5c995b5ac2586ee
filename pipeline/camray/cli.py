"""Command line: collects the commands, runs one, sets the exit code. No logic."""

import os
import signal
import sys
import traceback
from importlib import metadata
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape

from camray.commands import (
    compare,
    data,
    diff,
    experiment,
    fetch,
    gallery,
    lungs,
    review,
    sanity,
    settings,
    show,
    stages,
    track,
)
from camray.commands.arguments import DATA_COMMANDS, PACS_COMMANDS, RESULT_COMMANDS, console, print_json
from camray.domain.errors import IncompleteError, PipelineError

EXIT_CODES = (
    "Exit codes: 0 done; 1 internal error; 2 usage, settings or data manifest; 3 no usable input; 4 incomplete, locked "
    "or PACS unreachable: run the same command again to resume; 5 a PACS refused the credentials or a request."
)
app = typer.Typer(
    name="camray",
    help="Lesion boxes on chest radiographs from image-level labels alone, with honest scores.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks print local variables, which may contain identifiers
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (experiment, compare, stages, show, gallery, diff, sanity, fetch, settings):
    app.add_typer(part.app)
app.add_typer(review.app, name="review", rich_help_panel=PACS_COMMANDS)
app.add_typer(track.app, name="track", rich_help_panel=RESULT_COMMANDS)
app.add_typer(data.app, name="data", rich_help_panel=DATA_COMMANDS)
app.add_typer(lungs.app, name="lungs", rich_help_panel=DATA_COMMANDS)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"camray {metadata.version('camray')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


INTERRUPTED = 130  # typer's exit code for Ctrl-C
RESUME = "run the same command again to resume"


def main() -> None:
    """Run the command line; every error becomes a message, or one JSON object after --json, and an exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # background jobs ignore it
        signal.signal(signal.SIGINT, _interrupt)
    try:
        code = app(prog_name="camray", standalone_mode=False)
    except typer.Exit as done:
        code = done.exit_code
    except PipelineError as error:
        _end(type(error).__name__, str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - every other error is reported as internal
        if hasattr(error, "format_message"):  # click's usage errors
            _end("usage", _usage(error), 2)
        _end_internal(error)
    if code == INTERRUPTED:
        _end("interrupted", RESUME, IncompleteError.exit_code)
    if isinstance(code, int) and code:  # the code of typer.Exit
        sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Handle Ctrl-C: exit at once while modules are imported, since native modules abort on KeyboardInterrupt."""
    caller = frame
    while caller is not None:
        if caller.f_globals.get("__name__") == "importlib._bootstrap":
            _report("interrupted", RESUME, IncompleteError.exit_code)
            sys.stdout.flush()
            os._exit(IncompleteError.exit_code)
        caller = caller.f_back
    signal.default_int_handler(number, frame)


def _usage(error: Any) -> str:
    """Return the usage error of the command line, and the help page for it."""
    context = getattr(error, "ctx", None)
    command = "camray" if context is None else " ".join(["camray", *context.command_path.split()[1:]])
    message = error.format_message().rstrip(".")
    return f"{message}{'' if message.endswith('?') else ';'} see {command} --help"


def _end_internal(error: Exception) -> NoReturn:
    shows_message = bool(os.environ.get("CAMRAY_DEBUG"))
    detail = f": {error}" if shows_message else "; set CAMRAY_DEBUG=1 to see its message, which may contain data"
    if not _is_json_requested():
        console.print(escape("".join(traceback.format_tb(error.__traceback__))), end="", soft_wrap=True)
    _end("internal error", f"{type(error).__name__}{detail}", 1)


def _end(kind: str, message: str, exit_code: int) -> NoReturn:
    _report(kind, message, exit_code)
    sys.exit(exit_code)


def _report(kind: str, message: str, exit_code: int) -> None:
    """Report the end: as text on stderr, or with --json as JSON on stdout."""
    if _is_json_requested():
        print_json({"error": {"kind": kind, "message": message, "exit_code": exit_code}})
    else:
        console.print(f"[bold red]{kind}[/bold red]: {escape(message)}", highlight=False, soft_wrap=True)


def _is_json_requested() -> bool:
    return "--json" in sys.argv[1:]


if __name__ == "__main__":
    main()
