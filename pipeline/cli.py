"""The command line: gathers the commands, runs one, sets the exit code. No logic.

Exit codes: 0 done, 1 internal, 2 usage or settings, 3 input refused entirely, 4 stage incomplete (run again to resume).
"""

import os
import sys
import traceback

import typer
from rich.markup import escape

from pipeline.commands import (
    compare,
    data,
    diff,
    experiment,
    gallery,
    lungs,
    pacs,
    review,
    sanity,
    settings,
    show,
    track,
)
from pipeline.commands.words import console
from pipeline.domain.errors import PipelineError

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


def main() -> None:
    """Run the command line; every error becomes a message and an exit code."""
    try:
        code = app(standalone_mode=False)
        if isinstance(code, int) and code:  # what typer.Exit said
            sys.exit(code)
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except PipelineError as error:
        console.print(f"[bold red]{type(error).__name__}[/bold red]: {escape(str(error))}", highlight=False)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        console.print("interrupted; the same command goes on where it stopped")
        sys.exit(4)
    except Exception as error:  # noqa: BLE001 - the last door: whatever is left is ours to explain
        if hasattr(error, "format_message"):  # click's usage errors
            console.print(
                f"[bold red]usage[/bold red]: {escape(error.format_message())}; see camray --help", highlight=False
            )
            sys.exit(2)
        frames = "".join(traceback.format_tb(error.__traceback__))
        detail = (
            f": {error}" if os.environ.get("CAMRAY_DEBUG") else "; CAMRAY_DEBUG=1 shows its text, which may hold data"
        )
        console.print(f"{escape(frames)}[bold red]internal error[/bold red] {type(error).__name__}{escape(detail)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
