"""``track``: the MLflow store and its user interface."""

from pathlib import Path
from typing import Annotated

import typer

from camray.commands.arguments import AsJson, Runs, console, print_json

app = typer.Typer(help="Send pending calls to MLflow, or open its user interface.", no_args_is_help=True)


@app.command("sync")
def track_sync(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run whose pending calls are sent")],
    as_json: AsJson = False,
) -> None:
    """Send the calls that MLflow could not receive during the run.

    Example: [bold]camray track sync runs/phantom[/bold]
    """
    from camray.adapters.run_folders.run_folder import RunFolder
    from camray.adapters.tracking.sync import has_journal, sync
    from camray.io.run_lookup import check_is_run

    if not has_journal(folder):  # the summary over seeds has a journal, and is not a run
        check_is_run(folder)
    with RunFolder(folder).locked():
        counts = sync(folder)
    if as_json:
        print_json(counts)
    else:
        console.print(", ".join(f"{key}: {value}" for key, value in counts.items()))


@app.command("ui")
def track_ui(
    runs: Runs = Path("runs"),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1")] = 5000,
) -> None:
    """Serve the MLflow user interface for the store of these runs, and print its address as soon as it answers.

    The address opens the list of runs of the experiment with the newest run.

    Example: [bold]camray track ui[/bold]
    """
    from camray.adapters.tracking.ui import serve_ui

    console.print(f"MLflow    starting on port {port} (this takes up to half a minute; stop with Ctrl-C)")
    status = serve_ui(runs, port, lambda address: console.print(f"open      {address}", soft_wrap=True))
    if status > 0:
        raise typer.Exit(1)
