"""The command line application: collects the commands."""

import inspect
from typing import Annotated

import typer

from camray.commands import (
    card,
    compare,
    data,
    diff,
    drift,
    experiment,
    fetch,
    gallery,
    lungs,
    module,
    package,
    refine,
    remedies,
    review,
    runs,
    sanity,
    settings,
    show,
    stages,
    track,
    weights,
)
from camray.commands.arguments import DATA_COMMANDS, PACS_COMMANDS, RESULT_COMMANDS

EXIT_CODES = (
    "Exit codes: 0 done; 1 a file of a run or weights cannot be used, or internal error; 2 usage, settings or data "
    "manifest; 3 no usable input; 4 incomplete, locked, or PACS or tracking server unreachable: run the same command "
    "again to resume; 5 a PACS refused the credentials or a request; 6 drift, with --fail-on."
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
SINGLE = (
    experiment,
    compare,
    stages,
    show,
    gallery,
    diff,
    drift,
    card,
    package,
    module,
    sanity,
    fetch,
    refine,
    remedies,
    settings,
)
for part in SINGLE:
    app.add_typer(part.app)
app.add_typer(review.app, name="review", rich_help_panel=PACS_COMMANDS)
app.add_typer(track.app, name="track", rich_help_panel=RESULT_COMMANDS)
app.add_typer(runs.app, name="runs", rich_help_panel=RESULT_COMMANDS)
app.add_typer(data.app, name="data", rich_help_panel=DATA_COMMANDS)
app.add_typer(lungs.app, name="lungs", rich_help_panel=DATA_COMMANDS)
app.add_typer(weights.app, name="weights", rich_help_panel=DATA_COMMANDS)
for part in (*SINGLE, review, runs, track, data, lungs, weights):
    for command in part.app.registered_commands:  # Typer would keep the line breaks of the source
        command.help = "\n\n".join(
            " ".join(paragraph.split()) for paragraph in (inspect.getdoc(command.callback) or "").split("\n\n")
        )


def _print_version(is_requested: bool) -> None:
    if is_requested:
        from importlib import metadata

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
