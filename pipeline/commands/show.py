"""``show``: one film, one picture."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.commands.words import AsJson, console, print_json

app = typer.Typer()


@app.command()
def show(
    film: Annotated[Path, typer.Argument(metavar="FILE", help="DICOM, PNG or JPEG")],
    trained: Annotated[Path, typer.Option("--run", help="Trained run")],
    label: Annotated[str | None, typer.Option(help="Finding to show; default: the most probable one")] = None,
    method: Annotated[str, typer.Option(help="Explanation method")] = "cam",
    out: Annotated[
        Path | None, typer.Option("--out", help="Picture to write; default: FILE's stem + .LABEL.png")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain one film: a picture, and a table of findings with boxes.

    Example: [bold]camray show film.dcm --run runs/phantom --label Pneumothorax[/bold]
    """
    from pipeline.stages.show import show_film

    shown = show_film(film, trained, label, method, out)
    if as_json:
        print_json({"picture": str(shown.picture), "label": shown.label, "findings": shown.findings})
        return
    table = Table(title=f"{escape(film.name)}: {escape(shown.label)} by {method}")
    for column in ("finding", "probability", "boxes (x0, y0, x1, y1 native px)"):
        table.add_column(column)
    for finding in shown.findings:
        boxes = "; ".join("(" + ", ".join(f"{c:.0f}" for c in box) + ")" for box in finding["boxes"])
        table.add_row(escape(finding["label"]), f"{finding['probability']:.3f}", boxes or "no localization")
    Console().print(table)
    console.print(f"picture: {escape(str(shown.picture))}")
