"""One film explained: a picture and a table of findings.

Reads   one DICOM, PNG or JPEG; a trained run's network and thresholds
Writes  one PNG
Run     ``camray show film.dcm --run runs/phantom --label Pneumothorax``
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.core.boxes import upsampled
from pipeline.core.pictures import draw_overlay, heat01_of
from pipeline.domain.errors import SettingsError
from pipeline.stages.run import settings_of
from pipeline.stages.serve import Look, Predictor, film_from_file, load_predictor


@dataclass(frozen=True)
class Shown:
    """Where the picture lies, what it shows, and every finding: label, probability, boxes on the native grid."""

    picture: Path
    label: str
    findings: list[dict[str, Any]]


def show_film(path: Path, run_root: Path, label: str | None, method: str, out: Path | None) -> Shown:
    """Explain one film and draw it.

    Parameters
    ----------
    path : Path
        The film.
    run_root : Path
        A trained run.
    label : str or None
        Finding to draw; None draws the most probable one.
    method : str
        Explanation method that the run has thresholds for.
    out : Path or None
        PNG to write; None writes ``<stem>.<label>.png`` into the current folder.

    Raises
    ------
    SettingsError
        If there is no such file, label or method.
    ImageError
        If the file is no usable film.
    PipelineError
        If the run is not finished.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: no such file")
    settings_of(run_root)
    predictor = load_predictor(run_root, method)
    labels = predictor.contract.labels
    if label is not None and label not in labels:
        raise SettingsError(f"no label '{label}'; the run knows {', '.join(labels)}")
    look = predictor.look([film_from_file(path)])[0]
    number = int(np.argmax(look.probabilities)) if label is None else labels.index(label)
    target = out or Path(f"{path.stem}.{labels[number].replace('/', '-').replace(' ', '-')}.png")
    target.parent.mkdir(parents=True, exist_ok=True)
    _draw(predictor, look, number).save(target, format="PNG")
    findings = [
        {
            "label": name,
            "probability": float(look.probabilities[place]),
            "boxes": [list(box.as_tuple()) for box, _ in look.boxes[place]],
        }
        for place, name in enumerate(labels)
    ]
    return Shown(target, labels[number], findings)


def _draw(predictor: Predictor, look: Look, number: int) -> Image.Image:
    """Draw the part of the model grid that the film covers."""
    window, label = predictor.window(look), predictor.contract.labels[number]
    smooth = float(predictor.thresholds.get(label, {}).get("parameters", {}).get("smooth", 0.0))
    heat = upsampled(look.heat[number][None], (look.grey.shape[0], look.grey.shape[1]), window, smooth)[0]
    moved = look.transform.then(1.0, 1.0, -window.col0, -window.row0)
    rows, cols = look.film.pixels.shape
    tall = (look.film.row_spacing_mm or 1.0) / (look.film.col_spacing_mm or 1.0)
    picture = draw_overlay(
        look.grey[window.row0 : window.row1, window.col0 : window.col1],
        heat01_of(heat),
        [moved.box_to_model(box) for box, _ in look.boxes[number]],
        [],
        f"{label} {look.probabilities[number]:.2f}",
        aspect=rows / cols * tall,
    )
    return Image.fromarray(picture)
