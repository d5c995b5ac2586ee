"""``weights``: published weights for each backbone, and a check of a local file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import AsJson, console, print_json
from camray.domain.published_weights import PublishedWeights

app = typer.Typer(
    help="List published weights for each backbone, or check which backbones a local file fits.", no_args_is_help=True
)
_LEAST_WIDTH = 100  # of the table; below it a line for each
_NONE = "none published; own files of camray"


@app.command("list")
def weights_list(as_json: AsJson = False) -> None:
    """List every backbone with the published weights that fit it, their terms, names, input and size.

    Nothing is downloaded. Terms are given as far as known: read those of the source before use.

    Example: [bold]camray weights list[/bold]
    """
    from camray.domain.contract import BACKBONES
    from camray.domain.published_weights import published_for

    found = {backbone: published_for(backbone) for backbone in BACKBONES}
    if as_json:
        print_json({backbone: [asdict(each) for each in published] for backbone, published in found.items()})
        return
    if Console().width < _LEAST_WIDTH:
        _print_narrow(found)
        return
    table = Table(title="Published weights", padding=(0, 1), show_lines=True)
    for column in ("backbone", "weights", "published in", "licence", "commercial use", "redistribution"):
        table.add_column(column)
    for column in ("names", "input", "MB", "shipped"):
        table.add_column(column)
    for backbone, published in found.items():
        for each in published:
            terms = (each.licence, each.commercial, each.redistribution)
            rest = (each.names, each.input_scale, str(each.size_mb), "yes" if each.is_shipped else "no")
            table.add_row(backbone, *map(escape, (each.name, each.source, *terms, *rest)))
        if not published:
            table.add_row(backbone, _NONE, *[""] * 8)
    Console().print(table)


def _print_narrow(found: Mapping[Any, Sequence[PublishedWeights]]) -> None:
    """Print a line for each published file under its backbone."""
    for backbone, published in found.items():
        typer.echo(backbone if published else f"{backbone}: {_NONE}")
        for each in published:
            shipped = "shipped" if each.is_shipped else "not shipped"
            typer.echo(
                f"  {each.name}: {each.source}; licence: {each.licence}; commercial use: {each.commercial}; "
                f"redistribution: {each.redistribution}; names: {each.names}; input: {each.input_scale}; "
                f"{each.size_mb} MB, {shipped}"
            )


@app.command("check")
def weights_check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Weights: safetensors, or a state dict of torch.save")],
    backbone: Annotated[str | None, typer.Option("--backbone", help="Compare with this backbone only")] = None,
    as_json: AsJson = False,
) -> None:
    """Report which backbones a weights file fits, as training would load it; no code in the file is executed.

    Exit code 1: it fits none, or cannot be read.

    Example: [bold]camray weights check resnet50.pth --backbone resnet50[/bold]
    """
    from camray.workflows.weights_check import check_weights

    checked = check_weights(file, backbone)
    if as_json:
        print_json(checked.as_json())
    else:
        _print_check(checked)


def _print_check(checked: Any) -> None:
    first = "x".join(map(str, checked.first_layer)) or "none"
    console.print(
        f"{escape(str(checked.path))}: {checked.tensors} tensors, {checked.parameters:,} values, first convolution "
        f"{first}, sha256 {checked.sha256}",
        highlight=False,
    )
    table = Table(title="Backbones that it fits: tensors", padding=(0, 1))
    table.add_column("backbone")
    for column in ("matched", "missing", "of another shape", "left over"):
        table.add_column(column, justify="right")
    for fit in checked.fits:
        table.add_row(fit.backbone, *map(str, (fit.matched, fit.missing, fit.wrong_shape, fit.left_over)))
    Console().print(table)
    for fit in checked.fits:
        typer.echo(f"camray run CONFIG {checked.settings_line(fit.backbone)}")
