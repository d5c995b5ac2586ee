"""One ordinary picture explained by a published checkpoint; no run, no film.

Reads   one PNG or JPEG in colour; a state dict; a text file with the names of the classes
Writes  one PNG
Run     ``camray show cat.jpg --weights resnet18.pth --backbone resnet18 --classes imagenet_classes.txt``
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from camray.adapters.checkpoints import read_weights
from camray.adapters.images.photo import read_class_names, read_colours
from camray.core.explain.explanation import Explanation, ExplanationRequest, explain_images
from camray.core.explain.test_time_averaging import explain, feature_grid
from camray.core.imaging.photo_resampling import FITS, PictureFit, network_input, on_picture, to_input_grid
from camray.core.localization.box_recipes import BoxRecipe, locate
from camray.core.localization.heat_maps import CropWindow, upsampled
from camray.core.networks.published import published_classifier
from camray.domain.errors import SettingsError
from camray.domain.geometry import Box, GridTransform
from camray.reporting.contact_sheet import Panel, evidence_panel, panel_size, sheet
from camray.reporting.overlays import heat01_of

CAM_PAPER = BoxRecipe("max", 0.2, region="largest")  # Zhou et al., CVPR 2016, section 3.2
_PANEL_PX, _COLUMNS, _MIN_AREA = 320, 3, 0.001


@dataclass(frozen=True)
class PictureQuestion:
    """How a picture is looked at.

    Parameters
    ----------
    weights : Path
        Checkpoint, used as it is.
    backbone : str
        Whose weights they are.
    classes : Path or None
        Names of the classes; numbers stand for them where it is None.
    size : int
        Side of the network's input, px.
    fit : str
        ``stretch`` or ``crop``, see `camray.core.imaging.photo_resampling`.
    top : int
        Most probable classes to show.
    label : str or None
        One class to show in their place: its name or its number.
    is_multi_label : bool
        Probabilities are logistic, each class by itself; else softmax over the classes.
    """

    weights: Path
    backbone: str
    classes: Path | None = None
    size: int = 224
    fit: PictureFit = "stretch"
    top: int = 5
    label: str | None = None
    is_multi_label: bool = False


@dataclass(frozen=True)
class ShownPicture:
    """Where the drawing lies, and what was found: a row a class or target, boxes native px, half-open."""

    picture: Path
    found: list[dict[str, Any]]
    unused_weights: int


def show_picture(path: Path, wanted: PictureQuestion, question: ExplanationRequest, out: Path | None) -> ShownPicture:
    """Explain one picture and draw it.

    Parameters
    ----------
    path : Path
        The picture.
    wanted : PictureQuestion
    question : ExplanationRequest
        Method, layers, targets and views; its labels are chosen here.
    out : Path or None
        PNG to write; None writes ``<stem>.<method>.png`` into the current folder.

    Raises
    ------
    SettingsError
        If there is no such file, class or method, or the size does not fit the network.
    CheckpointError
        If the weights do not fit the backbone.
    ImageError
        If the file is no usable picture.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: no such file")
    if wanted.fit not in FITS or wanted.top < 1:
        raise SettingsError(f"fit '{wanted.fit}', top {wanted.top}; expected fit {' or '.join(FITS)} and top >= 1")
    picture = read_colours(path)
    network, report = published_classifier(wanted.backbone, read_weights(wanted.weights))
    stride = network.spec.stride
    if wanted.size % stride or wanted.size < 2 * stride:
        raise SettingsError(
            f"size {wanted.size}; {wanted.backbone} takes multiples of {stride} px from {2 * stride} up"
        )
    square, transform = to_input_grid(picture, wanted.size, wanted.fit)
    films = network_input(square)
    grid = feature_grid(network, films)
    logits = explain(network, films, (), grid, flip=question.flip, scales=question.scales).logits[0]
    names = _names(wanted.classes, len(logits))
    chosen = _chosen(names, logits, wanted)
    if question.targets is None:
        question = replace(question, labels=tuple(chosen))
    answer = explain_images(network, films, grid, question)
    probabilities = torch.sigmoid(logits.double()) if wanted.is_multi_label else torch.softmax(logits.double(), 0)
    found = [
        _said(names, probabilities, answer, place, None if question.targets else chosen[place])
        for place in range(answer.heat.shape[1])
    ]
    for place, row in enumerate(found):
        row["box"] = _box(answer.heat[0, place].numpy(), wanted.size, transform, picture.shape[:2])
    target = out or Path(f"{path.stem}.{question.method}.png")
    target.parent.mkdir(parents=True, exist_ok=True)
    _draw(picture, answer, found, transform, wanted, question).save(target, format="PNG")
    return ShownPicture(target, found, len(report.unused))


def _names(classes: Path | None, count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count))) if classes is None else read_class_names(classes, count)


def _chosen(names: tuple[str, ...], logits: torch.Tensor, wanted: PictureQuestion) -> list[int]:
    """Return class numbers: the one asked for, or the most probable, equal ones in their order."""
    if wanted.label is None:
        order = torch.sort(logits, descending=True, stable=True).indices
        return [int(number) for number in order[: wanted.top]]
    places = [number for number, name in enumerate(names) if wanted.label in {name, str(number)}]
    if len(places) != 1:
        near = [name for name in names if wanted.label.lower() in name.lower()][:5]
        hint = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
        raise SettingsError(f"{len(places)} classes are called '{wanted.label}'{hint}; give a name or number of one")
    return places


def _said(
    names: tuple[str, ...], probabilities: torch.Tensor, answer: Explanation, place: int, number: int | None
) -> dict[str, Any]:
    if number is None:
        return {"label": f"target {place + 1}", "value": float(answer.values[0, place])}
    return {
        "index": number,
        "label": names[number],
        "probability": float(probabilities[number]),
        "logit": float(answer.logits[0, number]),
    }


def _box(
    heat: NDArray[np.float32], side: int, transform: GridTransform, shape_native: tuple[int, ...]
) -> list[float] | None:
    """Enclose the largest region above 20 % of the maximum, as the CAM paper does; native px, or None."""
    window = CropWindow(0, side, 0, side)
    located = locate(heat[None].astype(np.float32), window, (side, side), CAM_PAPER, min_area=_MIN_AREA)
    for corners in located.boxes:
        box = transform.box_to_native(Box(*map(float, corners))).clipped(shape_native[0], shape_native[1])
        if box is not None:
            return list(box.as_tuple())
    return None


def _draw(
    picture: NDArray[np.uint8],
    answer: Explanation,
    found: list[dict[str, Any]],
    transform: GridTransform,
    wanted: PictureQuestion,
    question: ExplanationRequest,
) -> Image.Image:
    shape = (picture.shape[0], picture.shape[1])
    size = panel_size(shape, _PANEL_PX)
    panels = [Panel(evidence_panel(picture, None, size), "picture")]
    grey = np.repeat(
        np.asarray(Image.fromarray(picture).convert("L"))[..., None], 3, axis=2
    )  # the heat alone has colour
    for place, row in enumerate(found):
        heat = upsampled(answer.display_heat[0, place].numpy()[None], (wanted.size, wanted.size))[0]
        seen = on_picture(heat01_of(heat), transform, shape)
        boxes = [] if row["box"] is None else [Box(*row["box"])]
        number = f"{row['probability']:.3f}" if "probability" in row else f"{row['value']:.3f}"
        panels.append(Panel(evidence_panel(grey, seen, size, boxes), f"{number} {row['label']}"))
    note = f"{question.method} of {wanted.backbone}; each map by its own maximum, box at 20 % of it"
    return Image.fromarray(sheet(panels, _COLUMNS, note))
