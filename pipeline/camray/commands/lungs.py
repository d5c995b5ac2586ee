"""``lungs``: the lung generator behind zones and SDFN."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from camray.commands.arguments import AsJson, console, print_json

app = typer.Typer(help="The lung generator behind zones and SDFN.", no_args_is_help=True)


@app.command("train")
def lungs_train(
    out: Annotated[Path, typer.Option("--out", help="Weights to write, *.safetensors")] = Path("lungs.safetensors"),
    films: Annotated[int, typer.Option(min=8, help="Films drawn to learn from")] = 300,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over them")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Of films, weights and batches")] = 1,
    held_out: Annotated[int, typer.Option(min=1, help="Other films that it is tried on")] = 40,
    as_json: AsJson = False,
) -> None:
    """Train the lung generator on generated films; minutes on one core, the same bytes every time.

    Example: [bold]camray lungs train --out lungs.safetensors[/bold]
    """
    from camray.workflows.lung_segmenter import train_lungs

    done = train_lungs(out, films, epochs, seed, held_out)
    if as_json:
        print_json({**vars(done), "path": str(done.path)})
        return
    console.print(
        f"{escape(str(done.path))}: Dice {done.dice_whole:.3f} on {held_out} films it has not seen, "
        f"{done.dice_half:.3f} on halves of them, {done.dice_worst:.3f} at worst; {done.seconds:.0f} s"
    )


@app.command("show")
def lungs_show(
    film: Annotated[Path, typer.Argument(metavar="FILE", help="DICOM, PNG or JPEG")],
    weights: Annotated[Path | None, typer.Option("--weights", help="Of `camray lungs train`; default: shipped")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Picture to write; default: FILE's stem + .lungs.png")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the lungs of one film: a picture, and a box about each in native px.

    Example: [bold]camray lungs show film.dcm --out lungs.png[/bold]
    """
    from camray.workflows.lung_segmenter import show_lungs

    shown = show_lungs(film, weights, out or Path(f"{film.stem}.lungs.png"))
    if as_json:
        print_json({"source": shown.source, "boxes": shown.boxes, "picture": str(shown.picture)})
        return
    for side, box in shown.boxes.items():
        console.print(f"{side}: ({', '.join(f'{corner:.0f}' for corner in box)})")
    console.print(f"found by {shown.source}; picture: {escape(str(shown.picture))}")
