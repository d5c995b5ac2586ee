"""``remedies``: shortcut probes before and after each setting against shortcuts."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import DATA_COMMANDS, AsJson, console, print_json, start_on_run

app = typer.Typer()


@app.command(rich_help_panel=DATA_COMMANDS)
def remedies(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder whose films are ingested")],
    films: Annotated[int, typer.Option(min=0, help="Maximum number of films, chosen at random; 0 takes all")] = 1000,
    rows: Annotated[int, typer.Option(min=1, help="Number of probes to print, the strongest first")] = 15,
    out: Annotated[Path | None, typer.Option("--out", help="JSON file to write, with all probes")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure by the audit's probes which settings weaken the shortcuts of a run's films; nothing is trained.

    Example: [bold]camray remedies runs/phantom[/bold]
    """
    start_on_run("remedies", run, quiet=as_json)
    from camray.adapters.run_folders.atomic_files import write_json
    from camray.workflows.shortcut_remedies import remedy_table

    table = remedy_table(run, films)
    if out is not None:
        write_json(out, vars(table))
    if as_json:
        print_json(vars(table))
        return
    _print_table(table, rows)


def _print_table(result: Any, most: int) -> None:
    columns = ("now", *result.settings)
    table = Table(title=f"AUC of shortcut probes on {result.films} films; 0.5 predicts nothing", padding=(0, 1))
    for name in ("label", "from"):
        table.add_column(name)
    for name in columns:
        table.add_column(name, justify="right")
    for row in result.rows[:most]:
        numbers = ("–" if row[name] is None else f"{row[name]:.2f}" for name in columns)
        table.add_row(escape(row["label"]), escape(row["features"]), *numbers)
    Console().print(table)
    for name, text in result.settings.items():
        console.print(f"{name}: {escape(text)}", highlight=False)
    if result.uncounted:
        console.print(f"balance: {result.uncounted:.0%} of the labels are in groups that cannot be balanced")
