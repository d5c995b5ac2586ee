"""``module``: a model between an input and an output folder, as hosts of containers expect it."""

from pathlib import Path
from typing import Annotated

import typer

from camray.commands.arguments import PACS_COMMANDS, AsJson, opened_source, print_json

app = typer.Typer()


@app.command(rich_help_panel=PACS_COMMANDS)
def module(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL", help="Package, run or registered model; default: CAMRAY_MODEL in the environment"
        ),
    ] = None,
    films: Annotated[
        Path | None,
        typer.Argument(metavar="IN", help="Folder of films; default: MERCURE_IN_DIR or HOLOSCAN_INPUT_PATH"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Argument(metavar="OUT", help="Folder for results; default: MERCURE_OUT_DIR or HOLOSCAN_OUTPUT_PATH"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Apply a model inside a container of mercure or MONAI Deploy: DICOM objects, boxes.csv and result.json in OUT.

    Settings of the job are read from IN/task.json: formats, prevalence.

    Example: [bold]camray module phantom-model films/ answers/[/bold]
    """
    from camray.adapters.container_contract import INPUT_VARIABLES, MODEL_VARIABLES, OUTPUT_VARIABLES, folder_for

    source = folder_for(model, MODEL_VARIABLES, "MODEL")
    folders = (folder_for(films, INPUT_VARIABLES, "IN"), folder_for(out, OUTPUT_VARIABLES, "OUT"))
    trained = opened_source("module", source, quiet=as_json)
    from camray.workflows.container_module import run_module

    result = run_module(trained, *folders)
    if as_json:
        print_json(result)
    else:
        typer.echo(folders[1])
