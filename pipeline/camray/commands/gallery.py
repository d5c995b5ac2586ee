"""``gallery``: a page with every explanation method on the same generated films."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from camray.commands.arguments import RESULT_COMMANDS, AsJson, MethodChanges, Runs, console, print_json, print_note

app = typer.Typer()


@app.command(rich_help_panel=RESULT_COMMANDS)
def gallery(
    options: MethodChanges = None,
    trained: Annotated[
        Path | None, typer.Option("--run", help="Trained run on generated films; default: the demo, trained if missing")
    ] = None,
    runs: Runs = Path("runs"),
    out: Annotated[Path, typer.Option("--out", help="Folder for gallery.html and its images")] = Path("docs"),
    seed: Annotated[int, typer.Option(help="Random seed of the generated films")] = 20_000,
    as_json: AsJson = False,
) -> None:
    """Write a page that shows the map of every explanation method on generated films with known findings.

    Example: [bold]camray gallery --run runs/phantom --out docs[/bold]
    """
    from camray.io.run_lookup import check_is_run
    from camray.workflows.show.method_gallery import make_gallery

    if trained is not None:
        check_is_run(trained)
    made = make_gallery(trained or _demo(runs), out, seed, options or ())
    if as_json:
        print_json(
            {"page": str(made.page), "pictures": made.pictures, "bytes": made.size_bytes, "note_fonts": made.note}
        )
        return
    console.print(f"{made.pictures} images, {made.size_bytes / 1e6:.2f} MB\npage: {escape(str(made.page))}")
    print_note(made.note)


def _demo(runs: Path) -> Path:
    """Return the run of the demo, trained first if it is missing."""
    from camray.adapters.run_folders.run_folder import RunFolder
    from camray.adapters.settings.loading import config_path, load_settings
    from camray.adapters.tracking.interface import NullTracker
    from camray.workflows.run import run as run_stages

    settings = load_settings(config_path("phantom"))
    folder = RunFolder(runs / settings.name)
    for report in run_stages(settings, folder, NullTracker(), "train"):
        console.print(f"{report.record['stage']:<9} {'up to date' if report.skipped else 'done'}")
    return folder.root
