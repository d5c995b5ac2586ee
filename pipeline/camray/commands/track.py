"""``track``: the MLflow store."""

from pathlib import Path
from typing import Annotated

import typer

from camray.commands.arguments import AsJson, Runs, console, print_json

app = typer.Typer(help="The MLflow store: send what could not be sent, or open the UI.", no_args_is_help=True)


@app.command("sync")
def track_sync(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run whose journal is sent")],
    as_json: AsJson = False,
) -> None:
    """Send to MLflow what could not be sent while the run went on.

    Example: [bold]camray track sync runs/phantom[/bold]
    """
    from camray.adapters.run_folder import RunFolder, check_is_run
    from camray.adapters.tracking.sync import has_journal, sync

    if not has_journal(folder):  # as the summary over seeds has, which is no run of its own
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
    """Open the MLflow UI on the runs' own store.

    Example: [bold]camray track ui[/bold], then look at http://127.0.0.1:5000
    """
    from camray.adapters.tracking.ui import serve_ui

    console.print(f"MLflow: http://127.0.0.1:{port} (Ctrl-C ends it)")
    serve_ui(runs, port)
