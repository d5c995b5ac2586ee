"""Entry of the command line: signals, the exit code and the message of every end. No logic.

Whatever takes long to import is imported in `main`, when signals are already handled.
"""

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import TextIOWrapper
from types import FrameType
from typing import Any, NoReturn, TextIO

INTERRUPTED = 130  # typer's exit code for Ctrl-C
INCOMPLETE = 4  # exit code of `IncompleteError`
RESUME = "run the same command again to resume"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ONE_REQUEST_S = 2.0  # a terminal or `timeout` may send more than one signal for one request
# faults of the machine, not of the program: full disk, no permission, too many files, a folder in place of a file
_MACHINE_FAULTS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE),
    *(errno.EIO, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EBUSY, errno.ESTALE),
}


def main() -> None:
    """Run the command line; every error becomes a message, or one JSON object after --json, and an exit code."""
    _open_standard_streams()
    _escape_what_cannot_be_written()
    sys.unraisablehook = partial(_end_if_interrupted, sys.unraisablehook)
    _handle_signals(_interrupt)
    try:
        code = _run()
        _handle_signals(partial(_leave, 0))
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
        code = app(prog_name="camray", standalone_mode=False)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # of `camray ... | head`
        _discard(sys.stdout)
        return 1
    except typer.Exit as done:
        return done.exit_code
    except PipelineError as error:
        _end(type(error).__name__, str(error), error.exit_code)
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - every other error is reported as internal
        if _is_interrupted():  # native code may turn an interrupt into another error
            return INTERRUPTED
        if hasattr(error, "format_message"):  # click's usage errors
            _end("usage", _usage(error), 2)
        if isinstance(error, OSError) and error.errno in _MACHINE_FAULTS:
            where = f"{error.filename}: " if error.filename else ""
            _end("IncompleteError", f"{where}{error.strerror}; correct the cause and {RESUME}", INCOMPLETE)
        _end_internal(error)


def _open_standard_streams() -> None:
    """Open those that the caller closed, lest a file takes their place and receives what codecs write to stderr."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _escape_what_cannot_be_written() -> None:
    """Write a character that the terminal's encoding lacks as its code: a message is no reason to end a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and (stream.encoding.lower(), stream.errors) != (
            "utf-8",
            "surrogateescape",
        ):
            with suppress(OSError):  # its disk is full, or it has no position
                stream.reconfigure(errors="backslashreplace")


def _discard(stream: TextIO) -> None:
    """Let what is left in a stream, whose reader is gone or whose disk is full, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _handle_signals(handler: Callable[[int, FrameType | None], Any]) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) not in {signal.SIG_IGN, None}:  # background jobs ignore Ctrl-C
            signal.signal(number, handler)


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Handle Ctrl-C and requests to end: at once while modules are imported, since native modules abort on an error."""
    _handle_signals(partial(_insist, time.monotonic()))
    caller = frame
    while caller is not None:
        if caller.f_globals.get("__name__") in {"importlib._bootstrap", "_frozen_importlib"}:
            _leave(0)
        caller = caller.f_back
    raise KeyboardInterrupt


def _insist(since: float, *_: Any) -> None:
    """Handle signals after the first one, whose end may take a while."""
    if time.monotonic() - since > _ONE_REQUEST_S:
        _leave(0)


def _is_interrupted() -> bool:
    return any(getattr(signal.getsignal(number), "func", None) is _insist for number in _SIGNALS)


def _end_if_interrupted(hook: Callable[[Any], Any], unraisable: Any) -> None:
    """Handle an interrupt where no error can be raised, for instance in a destructor."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _leave(0)
    hook(unraisable)


def _leave(code: int, *_: Any) -> NoReturn:
    """End without Python's own shutdown; code 0 is an interrupt that nothing has reported."""
    with suppress(Exception):
        sys.stdout.flush()
        stream, text = _as_text("interrupted", RESUME, INCOMPLETE)
        show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
        os.write(stream.fileno(), ("" if code else f"{show_cursor}{text}").encode())
    os._exit(code or INCOMPLETE)


def _usage(error: Any) -> str:
    """Return the usage error of the command line, and the help page for it."""
    from camray.commands.setting_hints import setting_hint

    context = getattr(error, "ctx", None)
    command = "camray" if context is None else " ".join(["camray", *context.command_path.split()[1:]])
    hint = setting_hint(error)
    message = error.format_message().rstrip(".") + (f"; {hint}" if hint else "")
    return f"{message}{'' if message.endswith('?') else ';'} see {command} --help"


def _end_internal(error: Exception) -> NoReturn:
    shows_message = bool(os.environ.get("CAMRAY_DEBUG"))
    detail = f": {error}" if shows_message else "; set CAMRAY_DEBUG=1 to see its message, which may contain data"
    if not _is_json_requested():
        import traceback

        with suppress(OSError):
            sys.stderr.write("".join(traceback.format_tb(error.__traceback__)))
    _end("internal error", f"{type(error).__name__}{detail}", 1)


def _end(kind: str, message: str, exit_code: int) -> NoReturn:
    """Report the end, and make signals during Python's own shutdown harmless."""
    _report(kind, message, exit_code)
    _handle_signals(partial(_leave, exit_code))
    sys.exit(exit_code)


def _report(kind: str, message: str, exit_code: int) -> None:
    """Report the end: as text on stderr, or with --json as JSON on stdout; on stderr if stdout cannot be written."""
    try:
        _write_report(kind, message, exit_code)
    except OSError:
        with suppress(OSError):
            sys.stderr.write(f"{kind}: {message}\n")


def _write_report(kind: str, message: str, exit_code: int) -> None:
    console = getattr(sys.modules.get("camray.commands.arguments"), "console", None)
    if _is_json_requested() or console is None:
        stream, text = _as_text(kind, message, exit_code)
        stream.write(text)
        stream.flush()
        return
    from rich.markup import escape

    console.print(f"[bold red]{kind}[/bold red]: {escape(message)}", highlight=False, soft_wrap=True)


def _as_text(kind: str, message: str, exit_code: int) -> tuple[TextIO, str]:
    """Return the stream and the text of a report without colours."""
    if _is_json_requested():
        report = {"error": {"kind": kind, "message": message, "exit_code": exit_code}}
        return sys.stdout, json.dumps(report, indent=1) + "\n"
    return sys.stderr, f"{kind}: {message}\n"


def _is_json_requested() -> bool:
    return "--json" in sys.argv[1:]


if __name__ == "__main__":
    main()
