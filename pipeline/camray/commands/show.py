"""``show``: explanation of one film or photograph; ``visualise``: activation maximization per label."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import (
    RESULT_COMMANDS,
    AsJson,
    MethodChanges,
    TrainedRun,
    console,
    print_json,
    print_note,
    start_on_run,
)
from camray.commands.option_groups import expand_option_groups
from camray.domain.errors import ImageError, SettingsError

app = typer.Typer()


MAP_PANEL, PHOTO_PANEL = "Heat map", "Photograph (with --weights)"


def _photo_option(*names: str, **rest: Any) -> Any:
    return typer.Option(*names, rich_help_panel=PHOTO_PANEL, **rest)


def _map_option(*names: str, **rest: Any) -> Any:
    return typer.Option(*names, rich_help_panel=MAP_PANEL, **rest)


@dataclass(frozen=True)
class PhotoOptions:
    """A published checkpoint, and how it sees a photograph."""

    weights: Annotated[
        Path | None,
        _photo_option("--weights", help="State dict with torchvision's names, to explain a colour photograph"),
    ] = None
    backbone: Annotated[str, _photo_option("--backbone", help="Network, see docs/networks.md")] = "resnet18"
    classes: Annotated[
        Path | None, _photo_option("--classes", help="File of class names: one per line, or {0: 'tench', ...}")
    ] = None
    top: Annotated[int, _photo_option("--top", min=1, help="Number of most probable classes to list")] = 5
    size: Annotated[int, _photo_option("--size", help="Side of the network's input, px")] = 224
    fit: Annotated[str, _photo_option("--fit", help="stretch the photograph, or crop its centre (256 to 224)")] = (
        "stretch"
    )
    multi_label: Annotated[
        bool, _photo_option("--multi-label", help="Independent probabilities (sigmoid) in place of softmax")
    ] = False


@dataclass(frozen=True)
class MapOptions:
    """Which map is drawn."""

    label: Annotated[
        str | None, _map_option("--label", help="Finding or class to explain; default: the most probable")
    ] = None
    method: Annotated[str | None, _map_option("--method", help="Explanation method; default: the run's, or cam")] = None
    layer: Annotated[
        list[str] | None,
        _map_option("--layer", help="Layer of the map (gradcam, hirescam, layercam, ...); repeat to fuse several"),
    ] = None
    target: Annotated[
        str | None,
        _map_option("--target", help="FILE.py:NAME, a function of the logits [B, L] to explain; the file is executed"),
    ] = None
    flip: Annotated[bool | None, _map_option("--flip/--no-flip", help="Average with the map of the mirror image")] = (
        None
    )
    scales: Annotated[
        str | None, _map_option("--scales", help="Average over these input scales, for instance 1,1.5")
    ] = None
    options: MethodChanges = None


@dataclass(frozen=True)
class AscentOptions:
    """Gradient ascent on the input."""

    steps: Annotated[int, typer.Option(min=1, help="Steps of gradient ascent")] = 128
    rate: Annotated[float, typer.Option(help="Step length, grey values")] = 0.02
    l2: Annotated[float, typer.Option("--l2", help="Weight of the penalty on squared grey values")] = 0.0
    total_variation: Annotated[
        float, typer.Option("--tv", help="Weight of the penalty on squared differences of neighbours")
    ] = 0.02
    jitter: Annotated[int, typer.Option(help="Largest random shift per step, px")] = 8
    blur_px: Annotated[float, typer.Option("--blur", help="Sigma of the Gaussian smoothing every fourth step, px")] = (
        0.5
    )
    seed: Annotated[int, typer.Option(help="Random seed of the shifts")] = 0


@app.command(rich_help_panel=RESULT_COMMANDS)
@expand_option_groups
def show(
    film: Annotated[Path, typer.Argument(metavar="FILE", help="DICOM, PNG or JPEG")],
    photo: PhotoOptions,
    heat: MapOptions,
    trained: Annotated[Path | None, typer.Option("--run", help="Trained run, to explain a film")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="PNG to write; default: named after FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """Explain one film with a trained run, or one photograph with a published checkpoint: an image and a table.

    Example: [bold]camray show film.dcm --run runs/phantom --label Pneumothorax[/bold]

    A photograph: [bold]camray show cat.jpg --weights resnet18.pth --classes imagenet_classes.txt --top 5[/bold]

    Chosen layers: [bold]camray show film.dcm --run runs/phantom --method layercam --layer backbone.layer2 --layer
    backbone.layer4[/bold]

    Options of a method: [bold]camray show film.dcm --run runs/phantom --method occlusion
    explain.occlusion.patch_px=16[/bold]
    """
    from camray.adapters.settings.schema import ExplainSettings
    from camray.adapters.user_function import read_target
    from camray.io.method_options import changed_options

    if (trained is None) == (photo.weights is None):
        raise SettingsError("give either --run (to explain a film) or --weights (to explain a photograph)")
    targets = None if heat.target is None else read_target(heat.target)
    layers = {"layers": tuple(heat.layer or ()), "targets": targets}
    scales = None if heat.scales is None else _numbers(heat.scales)
    if trained is not None:
        request = {**layers, "label": heat.label, "method": heat.method, "flip": heat.flip, "scales": scales}
        request["options"] = tuple(heat.options or ())
        _show_film(film, trained, request, out, as_json)
        return
    seen = asdict(photo)
    network = {"label": heat.label, "is_multi_label": seen.pop("multi_label"), **seen}
    method = heat.method or "cam"
    request = {**layers, "method": method, "flip": bool(heat.flip), "scales": scales or (1.0,)}
    chosen = changed_options(ExplainSettings(), heat.options or (), [method])
    _show_photo(film, network, {**request, "options": chosen}, out, as_json)


@app.command(rich_help_panel=RESULT_COMMANDS)
@expand_option_groups
def visualise(
    trained: TrainedRun,
    ascent: AscentOptions,
    out: Annotated[Path, typer.Option("--out", help="PNG to write")] = Path("labels.png"),
    label: Annotated[list[str] | None, typer.Option(help="Label, may be repeated; default: all")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw for each label the input that maximizes its logit, by gradient ascent.

    Example: [bold]camray visualise runs/phantom --label Pneumothorax --out pneumothorax.png[/bold]
    """
    start_on_run("visualise", trained, quiet=as_json)
    from camray.core.explain.activation_maximization import AscentSettings
    from camray.workflows.show.activation_maximization import draw_labels

    try:
        settings = AscentSettings(**asdict(ascent))
    except ValueError as error:
        raise SettingsError(str(error)) from error
    drawn = draw_labels(trained, tuple(label or ()), settings, out)
    if as_json:
        print_json({"picture": str(drawn.picture), "labels": drawn.labels})
        return
    table = Table(title="Logit of the label in its image")
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


def _show_film(film: Path, trained: Path, request: dict[str, Any], out: Path | None, as_json: bool) -> None:
    from camray.workflows.show.film import FilmRequest, show_film

    try:
        explained = show_film(film, trained, FilmRequest(**request), out)
    except ImageError as error:
        raise type(error)(error.reason, f"{film}: {error.message}") from error
    if as_json:
        print_json(
            {
                "picture": str(explained.picture),
                "label": explained.label,
                "method": explained.method,
                "boxes_by": explained.boxes_by,
                "findings": explained.findings,
                "note_fonts": explained.note,
            }
        )
        return
    table = Table(
        title=f"{escape(film.name)}: {escape(explained.label)} by {explained.method}, boxes by {explained.boxes_by}"
    )
    for column in ("finding", "probability", "boxes (x0, y0, x1, y1 native px)"):
        table.add_column(column)
    for finding in explained.findings:
        boxes = "; ".join(_box(box) for box in finding["boxes"])
        probability = "" if finding["probability"] is None else f"{finding['probability']:.3f}"
        table.add_row(escape(finding["label"]), probability, boxes or "no localization")
    Console().print(table)
    console.print(f"image: {escape(str(explained.picture))}")
    for finding in explained.findings:
        if why := finding.get("no_probability"):
            print_note(f"'{finding['label']}' has no probability: {why}")
    print_note(explained.note)


def _show_photo(path: Path, network: dict[str, Any], request: dict[str, Any], out: Path | None, as_json: bool) -> None:
    from camray.core.explain.explanation import ExplanationRequest
    from camray.workflows.show.photo import PhotoRequest, show_picture

    explained = show_picture(path, PhotoRequest(**network), ExplanationRequest(**request), out)
    if as_json:
        used = {key: network[key] for key in ("backbone", "size", "fit")}
        print_json(
            {
                "picture": str(explained.picture),
                "method": request["method"],
                **used,
                "unused_weights": explained.unused_weights,
                "top": explained.rows,
                "note_fonts": explained.note,
            }
        )
        return
    table = Table(title=f"{escape(path.name)} by {request['method']} of {network['backbone']}")
    for column in ("class", "probability", "box (x0, y0, x1, y1 px)"):
        table.add_column(column)
    for row in explained.rows:
        number = f"{row['probability']:.4f}" if "probability" in row else f"value {row['value']:.4f}"
        table.add_row(escape(row["label"]), number, "no localization" if row["box"] is None else _box(row["box"]))
    Console().print(table)
    console.print(f"image: {escape(str(explained.picture))}")
    print_note(explained.note)


def _box(box: list[float]) -> str:
    return "(" + ", ".join(f"{corner:.0f}" for corner in box) + ")"
