"""``lungs``: training and use of the lung segmenter."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from camray.commands.arguments import AsJson, console, print_json

app = typer.Typer(
    help="Train the lung segmenter (for lung zones and model.fusion=sdfn), or apply it to one film.",
    no_args_is_help=True,
)


@app.command("train")
def lungs_train(
    out: Annotated[Path, typer.Option("--out", help="Weights file to write, *.safetensors")] = Path(
        "lungs.safetensors"
    ),
    films: Annotated[int, typer.Option(min=8, help="Number of generated training films")] = 300,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training films")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of films, initial weights and batches")] = 1,
    held_out: Annotated[int, typer.Option(min=1, help="Number of generated test films")] = 40,
    as_json: AsJson = False,
) -> None:
    """Train the lung segmenter on generated films; takes minutes on one core, and is reproducible to the byte.

    Example: [bold]camray lungs train --out lungs.safetensors[/bold]
    """
    from camray.workflows.lung_segmenter import train_lungs

    done = train_lungs(out, films, epochs, seed, held_out)
    if as_json:
        print_json({**vars(done), "path": str(done.path)})
        return
    console.print(
        f"{escape(str(done.path))}: Dice {done.dice_whole:.3f} on {held_out} test films, "
        f"{done.dice_half:.3f} on halves of them, {done.dice_worst:.3f} for the worst; {done.seconds:.0f} s"
    )


@app.command("show")
def lungs_show(
    film: Annotated[Path, typer.Argument(metavar="FILE", help="DICOM, PNG or JPEG")],
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Weights from `camray lungs train`; default: the shipped ones")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="PNG to write; default: named after FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """Segment the lungs of one film: an image, and a box per lung in native px.

    Example: [bold]camray lungs show film.dcm --out lungs.png[/bold]
    """
    from camray.workflows.lung_segmenter import show_lungs

    lungs = show_lungs(film, weights, out or Path(f"{film.stem}.lungs.png"))
    if as_json:
        print_json({"source": lungs.source, "boxes": lungs.boxes, "picture": str(lungs.picture)})
        return
    for side, box in lungs.boxes.items():
        console.print(f"{side}: ({', '.join(f'{corner:.0f}' for corner in box)})")
    console.print(f"source: {lungs.source}; image: {escape(str(lungs.picture))}")
