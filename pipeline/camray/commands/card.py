"""``card``: the model card of a trained run."""

from pathlib import Path
from typing import Annotated

import typer

from camray.commands.arguments import RESULT_COMMANDS, AsJson, TrainedRun, print_json, start_on_run

app = typer.Typer()


@app.command(rich_help_panel=RESULT_COMMANDS)
def card(
    run: TrainedRun,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write into; default: card in RUN")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the model card of a run: use, data, labels, network, weights, scores, shortcuts, limits and versions.

    Every line is made from the run's files; no film, patient or reader is named.

    Example: [bold]camray card runs/phantom[/bold]
    """
    start_on_run("card", run, quiet=as_json)
    from camray.workflows.model_card import write_card

    files = write_card(run, out)
    written = {"markdown": str(files.markdown), "page": str(files.page)}
    if as_json:
        print_json(written)
        return
    for path in written.values():
        typer.echo(path)
