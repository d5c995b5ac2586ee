"""Explanation of one photo by a published checkpoint.

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
from camray.adapters.run_folders.atomic_files import write_bytes
from camray.core.explain.explanation import Explanation, ExplanationRequest, explain_images
from camray.core.explain.test_time_averaging import explain, feature_grid
from camray.core.imaging.photo_resampling import FITS, PictureFit, network_input, on_picture, to_input_grid
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.heat_maps import upsampled
from camray.core.localization.located_boxes import RegionRules, locate
from camray.core.networks.published import published_classifier
from camray.domain.errors import SettingsError
from camray.domain.geometry import Box, CropWindow, GridTransform
from camray.domain.suggestions import did_you_mean
from camray.reporting.contact_sheet import Panel, evidence_panel, panel_size, sheet
from camray.reporting.fonts import font_note, letter_fonts
from camray.reporting.overlays import heat01_of, png_of_picture
from camray.workflows.show.drawn_names import AGAIN

CAM_PAPER = BoxRecipe("max", 0.2, region="largest")  # Zhou et al., CVPR 2016, section 3.2
_PANEL_PX, _COLUMNS, _MIN_AREA = 320, 3, 0.001


@dataclass(frozen=True)
class PhotoRequest:
    """Settings of the explanation of a picture.

    Parameters
    ----------
    weights : Path
        Checkpoint, used as it is.
    backbone : str
        Whose weights they are.
    classes : Path or None
        Names of the classes; None uses their numbers.
    size : int
        Side of the network's input, px.
    fit : str
        ``stretch`` or ``crop``, see `camray.core.imaging.photo_resampling`.
    top : int
        Most probable classes to show.
    label : str or None
        One class to show in their position: its name or its number.
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
    """The drawing, its content (a row per class or target, boxes native px, half-open), and a note on fonts."""

    picture: Path
    rows: list[dict[str, Any]]
    unused_weights: int
    note: str = ""


def show_picture(
    path: Path, request: PhotoRequest, explanation_request: ExplanationRequest, out: Path | None
) -> ShownPicture:
    """Explain one picture and draw it.

    Parameters
    ----------
    path : Path
        The picture.
    request : PhotoRequest
    explanation_request : ExplanationRequest
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
    if request.fit not in FITS or request.top < 1:
        raise SettingsError(f"fit '{request.fit}', top {request.top}; expected fit {' or '.join(FITS)} and top >= 1")
    picture = read_colours(path)
    network, report = published_classifier(request.backbone, read_weights(request.weights))
    stride = network.spec.stride
    if request.size % stride or request.size < 2 * stride:
        raise SettingsError(
            f"size {request.size}; {request.backbone} takes multiples of {stride} px from {2 * stride} up"
        )
    square, transform = to_input_grid(picture, request.size, request.fit)
    films = network_input(square)
    grid = feature_grid(network, films)
    logits = explain(network, films, (), grid, flip=explanation_request.flip, scales=explanation_request.scales).logits[
        0
    ]
    names = _names(request.classes, len(logits))
    classes = _choose_classes(names, logits, request)
    if explanation_request.targets is None:
        explanation_request = replace(explanation_request, labels=tuple(classes))
    explanation = explain_images(network, films, grid, explanation_request)
    probabilities = torch.sigmoid(logits.double()) if request.is_multi_label else torch.softmax(logits.double(), 0)
    rows = [
        _row_of(names, probabilities, explanation, position, None if explanation_request.targets else classes[position])
        for position in range(explanation.heat.shape[1])
    ]
    for position, row in enumerate(rows):
        row["box"] = _box(explanation.heat[0, position].numpy(), request.size, transform, picture.shape[:2])
    target = out or Path(f"{path.stem}.{explanation_request.method}.png")
    drawing = _draw(picture, explanation, rows, transform, request, explanation_request)
    write_bytes(target, png_of_picture(drawing))
    note = font_note([row["label"] for row in rows], "the number of the class", AGAIN)
    return ShownPicture(target, rows, len(report.unused), note)


def _names(classes: Path | None, count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count))) if classes is None else read_class_names(classes, count)


def _choose_classes(names: tuple[str, ...], logits: torch.Tensor, request: PhotoRequest) -> list[int]:
    """Return class numbers: the requested one, or the most probable, equal ones in their order."""
    if request.label is None:
        order = torch.sort(logits, descending=True, stable=True).indices
        return [int(number) for number in order[: request.top]]
    numbers = [number for number, name in enumerate(names) if request.label in {name, str(number)}]
    if len(numbers) != 1:
        near = [name for name in names if request.label.lower() in name.lower()][:5]
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else did_you_mean(request.label, names, "")
        raise SettingsError(f"{len(numbers)} classes are called '{request.label}'; {hint}give a name or number of one")
    return numbers


def _row_of(
    names: tuple[str, ...], probabilities: torch.Tensor, explanation: Explanation, position: int, number: int | None
) -> dict[str, Any]:
    if number is None:
        return {"label": f"target {position + 1}", "value": float(explanation.values[0, position])}
    return {
        "index": number,
        "label": names[number],
        "probability": float(probabilities[number]),
        "logit": float(explanation.logits[0, number]),
    }


def _box(
    heat: NDArray[np.float32], side: int, transform: GridTransform, shape_native: tuple[int, ...]
) -> list[float] | None:
    """Enclose the largest region above 20 % of the maximum, as the CAM paper does; native px, or None."""
    window = CropWindow(0, side, 0, side)
    located = locate(heat[None].astype(np.float32), window, (side, side), CAM_PAPER, RegionRules(_MIN_AREA))
    for corners in located.boxes:
        box = transform.box_to_native(Box(*map(float, corners))).clipped(shape_native[0], shape_native[1])
        if box is not None:
            return list(box.as_tuple())
    return None


def _draw(
    picture: NDArray[np.uint8],
    explanation: Explanation,
    rows: list[dict[str, Any]],
    transform: GridTransform,
    request: PhotoRequest,
    explanation_request: ExplanationRequest,
) -> Image.Image:
    shape = (picture.shape[0], picture.shape[1])
    size = panel_size(shape, _PANEL_PX)
    panels = [Panel(evidence_panel(picture, None, size), "picture")]
    grey = np.repeat(
        np.asarray(Image.fromarray(picture).convert("L"))[..., None], 3, axis=2
    )  # the heat alone has colour
    for position, row in enumerate(rows):
        heat = upsampled(explanation.display_heat[0, position].numpy()[None], (request.size, request.size))[0]
        heat01 = on_picture(heat01_of(heat), transform, shape)
        boxes = [] if row["box"] is None else [Box(*row["box"])]
        number = f"{row['probability']:.3f}" if "probability" in row else f"{row['value']:.3f}"
        name = row["label"] if letter_fonts(row["label"]) is not None else f"class {row['index']}"
        panels.append(Panel(evidence_panel(grey, heat01, size, boxes), f"{number} {name}"))
    note = f"{explanation_request.method} of {request.backbone}; each map by its own maximum, box at 20 % of it"
    return Image.fromarray(sheet(panels, _COLUMNS, note))
