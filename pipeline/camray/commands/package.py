"""``package`` and ``verify``: a trained run as one folder, and the check of such a folder."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import (
    RESULT_COMMANDS,
    AsJson,
    TrainedRun,
    console,
    print_json,
    print_start,
    start_on_run,
)

app = typer.Typer()
Replace = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier package in OUT; nothing else ever is")]

Onnx = Annotated[
    bool,
    typer.Option("--onnx", help="Write the network as ONNX too; needs the packages of `pip install 'camray\\[onnx]'`"),
]


@app.command(rich_help_panel=RESULT_COMMANDS)
def package(
    run: TrainedRun,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the package, new or empty")],
    overwrite: Replace = False,
    onnx: Onnx = False,
    as_json: AsJson = False,
) -> None:
    """Write a model package: all that `camray predict` needs of a run, with licence, model card and checks.

    It holds no film, table or path of the training data. The films that check it are drawn by camray.

    Example: [bold]camray package runs/phantom phantom-model[/bold]
    """
    start_on_run("package", run, quiet=as_json)
    from camray.workflows.model_package.write import write_package

    manifest = write_package(run, out, overwrite=overwrite, onnx=onnx)
    if as_json:
        print_json({"package": str(out), "camray": manifest.camray, "format": manifest.format, "files": manifest.files})
        return
    typer.echo(out)


@app.command(rich_help_panel=RESULT_COMMANDS)
def verify(
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="Folder that `camray package` wrote")],
    as_json: AsJson = False,
) -> None:
    """Check the digests of a model package, then its answers on its own films.

    On the machine and build that wrote it, answers are equal to the last digit; elsewhere a stated tolerance applies.
    Exit code 1: a file is damaged, or an answer differs.

    Example: [bold]camray verify phantom-model[/bold]
    """
    print_start("verify", package, quiet=as_json)
    from camray.domain.errors import CheckpointError
    from camray.workflows.model_package.verify import verify_package

    result = verify_package(package)
    if as_json and result.is_passed and result.is_onnx_right:
        films = {"films": len(result.films), "onnx": result.onnx}
        print_json({"package": str(package), "files": result.files, "rule": result.rule, **films})
    elif not as_json:
        _print_films(result)
    if not result.is_passed:
        wrong = sum(not film.is_same for film in result.films)
        raise CheckpointError(
            f"{package}: other answers than expected on {wrong} of {len(result.films)} films ({result.rule}); do not "
            "use the package with this installation; install the version of camray that wrote it, or write it again"
        )
    if not result.is_onnx_right:
        raise CheckpointError(
            f"{package}: its ONNX differs from its network by {result.onnx:.2g} with the installed onnxruntime; do not "
            "use them together; try another version of onnxruntime, or write the package again"
        )


def _print_films(result: Any) -> None:
    table = Table(title="Answers on the films of the package", padding=(0, 1))
    table.add_column("film", overflow="fold")
    for column in ("rows", "logits, probabilities", "boxes, peaks (px)", "result"):
        table.add_column(column, justify="right")
    for film in result.films:
        numbers = (str(film.rows), f"{film.output:.2g}", f"{film.position_px:.2g}")
        table.add_row(escape(film.image_id), *numbers, "as expected" if film.is_same else "[red]differs[/red]")
    Console().print(table)
    console.print(f"digests   {result.files} files unchanged", highlight=False)
    console.print(f"compared  {escape(result.rule)}", highlight=False, soft_wrap=True)
    if result.onnx is not None:
        console.print(f"ONNX      differs by {result.onnx:.2g} at most", highlight=False)
