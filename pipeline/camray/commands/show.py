"""``show``: explanation of one film or photograph; ``visualise``: activation maximization per label."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import RESULT_COMMANDS, AsJson, console, print_json
from camray.domain.errors import ImageError, SettingsError

app = typer.Typer()


@app.command(rich_help_panel=RESULT_COMMANDS)
def show(
    film: Annotated[Path, typer.Argument(metavar="FILE", help="DICOM, PNG or JPEG")],
    trained: Annotated[Path | None, typer.Option("--run", help="Trained run, to explain a film")] = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="State dict with torchvision's names, to explain a color photograph"),
    ] = None,
    backbone: Annotated[str, typer.Option(help="Network of --weights, see docs/networks.md")] = "resnet18",
    classes: Annotated[
        Path | None, typer.Option(help="Class names of --weights: one per line, or {0: 'tench', ...}")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Number of most probable classes to list, with --weights")] = 5,
    size: Annotated[int, typer.Option(help="Side of the network's input, px, with --weights")] = 224,
    fit: Annotated[
        str, typer.Option(help="With --weights: stretch the photograph, or crop its center (256 to 224)")
    ] = "stretch",
    multi_label: Annotated[
        bool,
        typer.Option("--multi-label", help="With --weights: independent probabilities (sigmoid) in place of softmax"),
    ] = False,
    label: Annotated[str | None, typer.Option(help="Finding or class to explain; default: the most probable")] = None,
    method: Annotated[str | None, typer.Option(help="Explanation method; default: the run's, or cam")] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="Layer of the map (gradcam, hirescam, layercam, ...); repeat to fuse several"),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="FILE.py:NAME, a function of the logits [B, L] to explain; the file is executed")
    ] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Average with the map of the mirror image")
    ] = None,
    scales: Annotated[str | None, typer.Option(help="Average over these input scales, for instance 1,1.5")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="PNG to write; default: named after FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """Explain one film with a trained run, or one photograph with a published checkpoint: an image and a table.

    Example: [bold]camray show film.dcm --run runs/phantom --label Pneumothorax[/bold]

    Example: [bold]camray show cat.jpg --weights resnet18.pth --classes imagenet_classes.txt --top 5[/bold]

    Layers: [bold]camray show film.dcm --run runs/phantom --method layercam --layer backbone.layer2 --layer
    backbone.layer4[/bold]
    """
    from camray.adapters.user_function import read_target

    if (trained is None) == (weights is None):
        raise SettingsError("give either --run (to explain a film) or --weights (to explain a photograph)")
    targets = None if target is None else read_target(target)
    asked = {"layers": tuple(layer or ()), "targets": targets}
    sizes = None if scales is None else _numbers(scales)
    if trained is not None:
        _show_film(film, trained, {**asked, "label": label, "method": method, "flip": flip, "scales": sizes}, out,
                   as_json)  # fmt: skip
        return
    wanted = {
        "weights": weights, "backbone": backbone, "classes": classes, "size": size, "fit": fit, "top": top,
        "label": label, "is_multi_label": multi_label,
    }  # fmt: skip
    question = {**asked, "method": method or "cam", "flip": bool(flip), "scales": sizes or (1.0,)}
    _show_picture(film, wanted, question, out, as_json)


@app.command(rich_help_panel=RESULT_COMMANDS)
def visualise(
    trained: Annotated[Path, typer.Argument(metavar="RUN", help="Trained run, for instance runs/phantom")],
    out: Annotated[Path, typer.Option("--out", help="PNG to write")] = Path("labels.png"),
    label: Annotated[list[str] | None, typer.Option(help="Label, may be repeated; default: all")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of gradient ascent")] = 128,
    rate: Annotated[float, typer.Option(help="Step length, gray values")] = 0.02,
    l2: Annotated[float, typer.Option("--l2", help="Weight of the penalty on squared gray values")] = 0.0,
    total_variation: Annotated[
        float, typer.Option("--tv", help="Weight of the penalty on squared differences of neighbors")
    ] = 0.02,
    jitter: Annotated[int, typer.Option(help="Largest random shift per step, px")] = 8,
    blur: Annotated[float, typer.Option(help="Sigma of the Gaussian smoothing every fourth step, px")] = 0.5,
    seed: Annotated[int, typer.Option(help="Random seed of the shifts")] = 0,
    as_json: AsJson = False,
) -> None:
    """Draw for each label the input that maximizes its logit, by gradient ascent.

    Example: [bold]camray visualise runs/phantom --label Pneumothorax --out pneumothorax.png[/bold]
    """
    from camray.adapters.run_folder import check_is_run
    from camray.core.explain.activation_maximization import AscentSettings
    from camray.workflows.show.activation_maximization import draw_labels

    check_is_run(trained)
    try:
        ascent = AscentSettings(
            steps=steps,
            rate=rate,
            l2=l2,
            total_variation=total_variation,
            jitter=jitter,
            blur_px=blur,
            seed=seed,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error
    drawn = draw_labels(trained, tuple(label or ()), ascent, out)
    if as_json:
        print_json({"picture": str(drawn.picture), "labels": drawn.labels})
        return
    table = Table(title="Probability of the label in its image")
    for column in ("label", "start", "drawn"):
        table.add_column(column)
    for row in drawn.labels:
        table.add_row(escape(row["label"]), f"{row['before']:.3f}", f"{row['after']:.3f}")
    Console().print(table)
    console.print(f"image: {escape(str(drawn.picture))}")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(
            f"--scales {text}: expected numbers with commas between them, for instance 1,1.5"
        ) from error


def _show_film(film: Path, trained: Path, asked: dict[str, Any], out: Path | None, as_json: bool) -> None:
    from camray.workflows.show.film import FilmQuestion, show_film

    try:
        shown = show_film(film, trained, FilmQuestion(**asked), out)
    except ImageError as error:
        raise type(error)(error.reason, f"{film}: {error.message}") from error
    if as_json:
        print_json({
            "picture": str(shown.picture), "label": shown.label, "method": shown.method, "boxes_by": shown.boxes_by,
            "findings": shown.findings,
        })  # fmt: skip
        return
    table = Table(title=f"{escape(film.name)}: {escape(shown.label)} by {shown.method}, boxes by {shown.boxes_by}")
    for column in ("finding", "probability", "boxes (x0, y0, x1, y1 native px)"):
        table.add_column(column)
    for finding in shown.findings:
        boxes = "; ".join(_box(box) for box in finding["boxes"])
        probability = "" if finding["probability"] is None else f"{finding['probability']:.3f}"
        table.add_row(escape(finding["label"]), probability, boxes or "no localization")
    Console().print(table)
    console.print(f"image: {escape(str(shown.picture))}")


def _show_picture(
    path: Path, wanted: dict[str, Any], question: dict[str, Any], out: Path | None, as_json: bool
) -> None:
    from camray.core.explain.explanation import ExplanationRequest
    from camray.workflows.show.photo import PictureQuestion, show_picture

    shown = show_picture(path, PictureQuestion(**wanted), ExplanationRequest(**question), out)
    if as_json:
        said = {key: wanted[key] for key in ("backbone", "size", "fit")}
        print_json({
            "picture": str(shown.picture), "method": question["method"], **said,
            "unused_weights": shown.unused_weights, "top": shown.found,
        })  # fmt: skip
        return
    table = Table(title=f"{escape(path.name)} by {question['method']} of {wanted['backbone']}")
    for column in ("class", "probability", "box (x0, y0, x1, y1 px)"):
        table.add_column(column)
    for row in shown.found:
        number = f"{row['probability']:.4f}" if "probability" in row else f"value {row['value']:.4f}"
        table.add_row(escape(row["label"]), number, "no localization" if row["box"] is None else _box(row["box"]))
    Console().print(table)
    console.print(f"image: {escape(str(shown.picture))}")


def _box(box: list[float]) -> str:
    return "(" + ", ".join(f"{corner:.0f}" for corner in box) + ")"
