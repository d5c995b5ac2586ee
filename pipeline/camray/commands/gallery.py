"""``gallery``: every explanation method on the same generated films, as a page."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from camray.commands.arguments import RESULT_COMMANDS, AsJson, Runs, console, print_json

app = typer.Typer()


@app.command(rich_help_panel=RESULT_COMMANDS)
def gallery(
    trained: Annotated[
        Path | None, typer.Option("--run", help="Trained run of generated films; default: the demo's, made if missing")
    ] = None,
    runs: Runs = Path("runs"),
    out: Annotated[Path, typer.Option("--out", help="Folder of gallery.html and its pictures")] = Path("docs"),
    seed: Annotated[int, typer.Option(help="Of the films that are drawn for it")] = 20_000,
    as_json: AsJson = False,
) -> None:
    """Draw films with known findings and show what every explanation method makes of them.

    Example: [bold]camray gallery --run runs/phantom --out docs[/bold]
    """
    from camray.adapters.run_folder import check_is_run
    from camray.workflows.show.method_gallery import make_gallery

    if trained is not None:
        check_is_run(trained)
    made = make_gallery(trained or _demo(runs), out, seed)
    if as_json:
        print_json({"page": str(made.page), "pictures": made.pictures, "bytes": made.size_bytes})
        return
    console.print(f"{made.pictures} pictures, {made.size_bytes / 1e6:.2f} MB\npage: {escape(str(made.page))}")


def _demo(runs: Path) -> Path:
    """Return the demo's run, brought up to its training."""
    from camray.adapters.run_folder import RunFolder
    from camray.adapters.settings.loading import config_path, load_settings
    from camray.adapters.tracking.interface import NullTracker
    from camray.workflows.run import run as run_stages

    settings = load_settings(config_path("phantom"))
    folder = RunFolder(runs / settings.name)
    for report in run_stages(settings, folder, NullTracker(), "train"):
        console.print(f"{report.record['stage']:<9} {'up to date' if report.skipped else 'done'}")
    return folder.root
