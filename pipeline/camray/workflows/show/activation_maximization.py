"""Activation maximization: one picture per label of a trained run, by gradient ascent.

Reads   a trained run's network
Writes  one PNG
Run     ``camray visualise runs/phantom --out labels.png``
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.explain.activation_maximization import AscentSettings, maximize_activations
from camray.domain.errors import SettingsError
from camray.domain.suggestions import did_you_mean
from camray.io.trained_model import load_classifier
from camray.reporting.contact_sheet import Panel, panel_size, sheet
from camray.reporting.overlays import png_of_picture

_PANEL_PX, _COLUMNS = 256, 5
MID_GREY = 0.5


@dataclass(frozen=True)
class LabelSheet:
    """Path of the picture, and a row per label: `label`, and its logit `before` and `after` the ascent."""

    picture: Path
    labels: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class LabelPictures:
    """A picture per label, [labels, rows, cols] in grey 0-1, with its own label's logit `before` and `after`."""

    labels: tuple[str, ...]
    grey: NDArray[np.float32]
    before: NDArray[np.float64]
    after: NDArray[np.float64]


def draw_labels(run_root: Path, labels: tuple[str, ...], ascent: AscentSettings, out: Path) -> LabelSheet:
    """Draw the pictures of a run's labels on one sheet.

    Parameters
    ----------
    run_root : Path
        A trained run.
    labels : tuple of str
        Which; all of them where it is empty.
    ascent : AscentSettings
    out : Path
        PNG to write.

    Raises
    ------
    SettingsError
        If there is no such label.
    CheckpointError
        If the run is not trained.
    """
    pictures = pictures_of_labels(run_root, labels, ascent)
    size = panel_size((pictures.grey.shape[1], pictures.grey.shape[2]), _PANEL_PX)
    panels = []
    for label, grey, after in zip(pictures.labels, pictures.grey, pictures.after, strict=True):
        picture = Image.fromarray(np.rint(grey * 255).astype(np.uint8)).convert("RGB")
        resized = picture.resize((size[1], size[0]), Image.Resampling.BICUBIC)
        panels.append(Panel(np.asarray(resized, np.uint8), f"{label} {after:.2f}"))
    drawing = Image.fromarray(sheet(panels, _COLUMNS, f"gradient ascent from mid-grey, {ascent.steps} steps"))
    write_bytes(out, png_of_picture(drawing))
    rows = [
        {"label": label, "before": float(before), "after": float(after)}
        for label, before, after in zip(pictures.labels, pictures.before, pictures.after, strict=True)
    ]
    return LabelSheet(out, rows)


def pictures_of_labels(run_root: Path, labels: tuple[str, ...], ascent: AscentSettings) -> LabelPictures:
    """Climb from mid-grey to each label's picture; see `draw_labels`."""
    network, contract = load_classifier(RunFolder(run_root), torch.device("cpu"))
    unknown = [label for label in labels if label not in contract.labels]
    if unknown:
        near = did_you_mean(unknown, contract.labels, "the run knows")
        raise SettingsError(f"no label {unknown}; {near}")
    numbers = [contract.labels.index(label) for label in labels or contract.labels]

    def score(films: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = network(films)
        return logits[:, numbers]

    start = torch.full((1, contract.rows, contract.cols), MID_GREY)
    pictures = maximize_activations(score, start, len(numbers), ascent)
    with torch.no_grad():
        before = score(start[None])[0].double()
        after = score(pictures).diagonal().double()
    names = tuple(contract.labels[number] for number in numbers)
    return LabelPictures(names, pictures[:, 0].numpy(), before.numpy(), after.numpy())
