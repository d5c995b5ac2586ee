"""``drift``: folders of predictions compared with the films of the run that made them."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import RESULT_COMMANDS, AsJson, TrainedRun, console, print_json, print_note, start_on_run
from camray.commands.option_groups import expand_option_groups

app = typer.Typer()
QUIET_ROWS = 5  # printed of a folder beside its features of level watch and alarm
_COLOURS = {"alarm": "red", "watch": "yellow", "none": "green", "too few films": "dim"}


class FailOn(StrEnum):
    """Level from which the exit code is not 0."""

    WATCH = "watch"
    ALARM = "alarm"


@dataclass(frozen=True)
class DriftOptions:
    """Where the page goes, and what counts as a failure."""

    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for page and JSON; default: drift/ in the last folder of predictions"),
    ] = None
    fail_on: Annotated[
        FailOn | None,
        typer.Option(help="Exit with code 6 if the last folder of predictions reaches this level"),
    ] = None


@app.command(rich_help_panel=RESULT_COMMANDS)
@expand_option_groups
def drift(
    trained: TrainedRun,
    predictions: Annotated[
        list[Path],
        typer.Argument(metavar="PREDICTIONS...", help="Folders that `camray predict` wrote, in the order of time"),
    ],
    options: DriftOptions,
    as_json: AsJson = False,
) -> None:
    """Compare predictions with the films that the run was trained on: header, grey levels, findings and boxes.

    Each feature is watched for a shift: level none, watch or alarm. Fewer than 20 patients have no level.

    Example: [bold]camray drift runs/phantom findings[/bold]

    Every night: [bold]camray drift runs/phantom week-1 week-2 --fail-on alarm[/bold]
    """
    start_on_run("drift", trained, quiet=as_json, or_package=True)
    from camray.core.drift.verdict import LEVELS, Level
    from camray.domain.errors import DriftError
    from camray.workflows.drift import find_drift

    result = find_drift(trained, predictions, options.out)
    last = result.folders[-1]
    if as_json:
        print_json({**result.summary, "page": str(result.page)})
    else:
        for folder in result.folders:
            _print_folder(folder)
        for note in result.notes:
            print_note(note)
        console.print(f"page      {escape(str(result.page))}", highlight=False, soft_wrap=True)
    if last.level == Level.TOO_FEW:
        print_note(f"{last.name}: too few films for a verdict: {last.patients} patients; expected at least 20")
    if options.fail_on is not None and LEVELS.index(last.level) >= LEVELS.index(Level(options.fail_on)):
        raise DriftError(f"{last.name}: drift of level '{last.level}'; see {result.page}")


def _print_folder(folder: Any) -> None:
    level = f"[{_COLOURS[folder.level]}]{folder.level}[/]"
    title = f"{escape(folder.name)}: {folder.films} films of {folder.patients} patients: {level}"
    table = Table(title=title, padding=(0, 1))
    table.add_column("feature", overflow="fold")
    table.add_column("level", no_wrap=True)
    table.add_column("training → these films", overflow="fold")
    for column in ("PSI (95 %)", "KS", "p"):
        table.add_column(column, justify="right", no_wrap=True)
    drifted = sum(row.level in (FailOn.WATCH, FailOn.ALARM) for row in folder.rows)
    for row in folder.rows[: drifted + QUIET_ROWS]:
        name = f"[{_COLOURS[row.level]}]{row.level}[/]"
        table.add_row(escape(row.reference.title), name, escape(row.change), *_numbers(row))
    Console().print(table)
    if rest := folder.rows[drifted + QUIET_ROWS :]:
        console.print(f"{len(rest)} more features without drift are on the page", highlight=False)


def _numbers(row: Any) -> tuple[str, str, str]:
    if row.shift is None:
        return "–", "–", "–"
    shift = row.shift
    between = f"{shift.psi:.2f} ({shift.psi_low:.2f}–{shift.psi_high:.2f})"
    return between, "–" if shift.ks != shift.ks else f"{shift.ks:.2f}", "<0.001" if row.p < 0.001 else f"{row.p:.3f}"
