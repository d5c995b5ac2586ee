"""Arguments and options that several commands have, and output for people and for programs."""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from camray.domain.uris import is_model_address

console = Console(stderr=True)

RUN_PANEL, OUTPUT_PANEL = "Run", "Output"
EXPERIMENT_COMMANDS, STAGE_COMMANDS = "Run an experiment", "Stages"
RESULT_COMMANDS, PACS_COMMANDS, DATA_COMMANDS = "Look at results", "Reading room and PACS", "Data and settings"

EXPERIMENT_OR_RUN = "Experiment: a file, or the name of one that ships with camray, as phantom; or a run folder"
Config = Annotated[Path, typer.Argument(help=EXPERIMENT_OR_RUN)]
TrainedRun = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained run, for instance runs/phantom")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Settings to change, for instance train.max_epochs=3")]
MethodChanges = Annotated[
    list[str] | None,
    typer.Argument(help="Options of the method, for instance explain.occlusion.patch_px=16"),
]
Runs = Annotated[
    Path, typer.Option("--runs", envvar="CAMRAY_RUNS", help="Folder that contains the runs", rich_help_panel=RUN_PANEL)
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Repeat even if nothing changed; of several stages, the last one", rich_help_panel=RUN_PANEL
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace the run's trained network if films or settings changed; without it that is refused",
        rich_help_panel=RUN_PANEL,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on stdout, for programs", rich_help_panel=OUTPUT_PANEL),
]
AsCsv = Annotated[
    bool, typer.Option("--csv", help="Also write every table as CSV into RUN/csv", rich_help_panel=OUTPUT_PANEL)
]


@dataclass(frozen=True)
class RunOptions:
    """Options of a command that runs stages of an experiment."""

    overrides: Overrides = None
    runs: Runs = Path("runs")
    force: Force = False
    overwrite: Overwrite = False


@dataclass(frozen=True)
class OutputOptions:
    """What a command that runs stages prints and writes besides its results."""

    csv: AsCsv = False
    as_json: AsJson = False


def print_start(what: str, where: Path, *, quiet: bool) -> None:
    """Print what a command works on, before it imports what takes seconds."""
    if not quiet:
        console.print(f"{what:<9} {escape(str(where))}", highlight=False, soft_wrap=True)


def start_on_run(what: str, run: Path, *, quiet: bool, or_package: bool = False) -> None:
    """Check that a folder is a run, or a package where one may be given, and print what a command does with it."""
    from camray.io.run_lookup import check_is_run

    check_is_run(run, or_package=or_package)
    print_start(what, run, quiet=quiet)


def opened_source(what: str, source: Path, *, quiet: bool) -> Path:
    """Return the folder of a run, a package, or a model that is obtained from MLflow; print what is done with it."""
    if not is_model_address(str(source)):
        start_on_run(what, source, quiet=quiet, or_package=True)
        return source
    print_start(what, source, quiet=quiet)
    from camray.workflows.trained_source import trained_folder

    return trained_folder(source)


def print_note(note: str) -> None:
    """Print a note on a result to stderr; nothing for an empty one."""
    if note:
        console.print(f"[yellow]note[/yellow] {escape(note)}", highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Write one JSON object to stdout; NaN and infinity, which JSON does not have, become null."""
    sys.stdout.write(json.dumps(_plain(value), indent=1, default=str, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if type(value).__module__ == "numpy":
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
