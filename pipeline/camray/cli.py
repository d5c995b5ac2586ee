"""Entry of the command line: signals, the exit code and the message of every end. No logic.

Whatever takes long to import is imported in `main`, when signals are already handled.
"""

import errno
import json
import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 130  # typer's exit code for Ctrl-C
INCOMPLETE = 4  # exit code of `IncompleteError`
RESUME = "run the same command again to resume"
# faults of the machine, not of the program: full disk, no permission, too many files
_MACHINE_FAULTS = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EMFILE", "ENFILE", "EIO")
}


def main() -> None:
    """Run the command line; every error becomes a message, or one JSON object after --json, and an exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in {signal.default_int_handler, signal.SIG_DFL}:  # background jobs ignore Ctrl-C
            signal.signal(number, _interrupt)
    try:
        code = _run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        _end("interrupted", RESUME, INCOMPLETE)
    if isinstance(code, int) and code:  # the code of typer.Exit
        sys.exit(code)


def _run() -> Any:
    """Run one command and return its exit code; errors end the process."""
    import typer

    from camray.commands.app import app
    from camray.commands.user_environment import prepare_environment
    from camray.domain.errors import PipelineError

    try:
        prepare_environment()
        return app(prog_name="camray", standalone_mode=False)
    except typer.Exit as done:
        return done.exit_code
    except PipelineError as error:
        _end(type(error).__name__, str(error), error.exit_code)
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - every other error is reported as internal
        if hasattr(error, "format_message"):  # click's usage errors
            _end("usage", _usage(error), 2)
        if isinstance(error, OSError) and error.errno in _MACHINE_FAULTS:
            where = f"{error.filename}: " if error.filename else ""
            _end("IncompleteError", f"{where}{error.strerror}; correct the cause and {RESUME}", INCOMPLETE)
        _end_internal(error)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Handle Ctrl-C and requests to end: at once while modules are imported, since native modules abort on an error."""
    caller = frame
    while caller is not None:
        if caller.f_globals.get("__name__") == "importlib._bootstrap":
            _report("interrupted", RESUME, INCOMPLETE)
            sys.stdout.flush()
            os._exit(INCOMPLETE)
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
        import traceback

        sys.stderr.write("".join(traceback.format_tb(error.__traceback__)))
    _end("internal error", f"{type(error).__name__}{detail}", 1)


def _end(kind: str, message: str, exit_code: int) -> NoReturn:
    _report(kind, message, exit_code)
    sys.exit(exit_code)


def _report(kind: str, message: str, exit_code: int) -> None:
    """Report the end: as text on stderr, or with --json as JSON on stdout; also while modules are imported."""
    if _is_json_requested():
        report = {"error": {"kind": kind, "message": message, "exit_code": exit_code}}
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
        return
    console = getattr(sys.modules.get("camray.commands.arguments"), "console", None)
    if console is None:
        sys.stderr.write(f"{kind}: {message}\n")
        return
    from rich.markup import escape

    console.print(f"[bold red]{kind}[/bold red]: {escape(message)}", highlight=False, soft_wrap=True)


def _is_json_requested() -> bool:
    return "--json" in sys.argv[1:]


if __name__ == "__main__":
    main()
