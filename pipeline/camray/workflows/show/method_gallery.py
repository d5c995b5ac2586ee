"""Gallery page of all explanation methods on the same generated films with known findings.

Reads   a trained run of generated films; draws films of its own that the run never saw
Writes  ``gallery.html`` and ``pictures/gallery/*.webp``
Run     ``camray gallery --run runs/phantom --out docs``
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from camray.adapters.progress import progress
from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.explain.activation_maximization import AscentSettings, maximize_activations
from camray.core.explain.explanation import ExplanationRequest, explain_images
from camray.core.explain.methods import METHODS, methods_named
from camray.core.imaging.resampling import resampled
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.heat_maps import film_window, upsampled
from camray.core.localization.located_boxes import RegionRules, locate
from camray.core.phantom.film import PhantomFilm, render_film
from camray.core.phantom.findings import FINDINGS
from camray.domain.contract import ModelContract
from camray.domain.errors import SettingsError
from camray.domain.geometry import Box, CropWindow, GridTransform, box_from_mask, iou
from camray.io.method_options import changed_options
from camray.io.prepared_films import prepare_for
from camray.io.trained_model import load_classifier
from camray.reporting.contact_sheet import Panel, evidence_panel, panel_size, sheet
from camray.reporting.method_gallery_page import GalleryRow, gallery_page
from camray.reporting.overlays import heat01_of
from camray.workflows.show.drawn_names import drawn_names
from camray.workflows.stored_settings import settings_of

PICTURES = "pictures/gallery"
FIXED = BoxRecipe("max", 0.2)
_ROWS, _SEARCHED, _PANEL_PX, _MIN_AREA, _QUALITY = 512, 400, 224, 0.001, 80
_CLIMB = AscentSettings(steps=96, rate=0.02, total_variation=0.02, jitter=8, blur_px=0.5)


@dataclass(frozen=True, eq=False)
class _GalleryFilm:
    """One finding on one film, on the model grid: `grey` and `mask` [rows, cols], and the part that the film covers."""

    label: str
    label_index: int
    grey: NDArray[np.float32]
    mask: NDArray[np.bool_]
    boxes: tuple[Box, ...]
    window: CropWindow


@dataclass(frozen=True)
class GalleryResult:
    """Path of the page, number of its pictures, their bytes in all, and a note on fonts."""

    page: Path
    pictures: int
    size_bytes: int
    note: str = ""


def make_gallery(run_root: Path, out: Path, seed: int, changes: Sequence[str] = ()) -> GalleryResult:
    """Draw the page.

    Parameters
    ----------
    run_root : Path
        A trained run whose labels are findings of generated films.
    out : Path
        Folder that gets ``gallery.html`` and its pictures.
    seed : int
        Of the films that are drawn; another one than the run's own films have.
    changes : sequence of str
        Changes of the run's options of methods, see `camray.io.method_options.changed_options`.

    Raises
    ------
    SettingsError
        If the run's labels are not findings of generated films, or an option does not exist.
    """
    options = changed_options(settings_of(run_root).explain, changes, METHODS)
    network, contract = load_classifier(RunFolder(run_root), torch.device("cpu"))
    known = [label for label in contract.labels if label in FINDINGS]
    if not known:
        raise SettingsError(f"the run knows {', '.join(contract.labels)}; the gallery needs {', '.join(FINDINGS)}")
    films = [_on_model_grid(label, contract, film) for label, film in _find_films(known, seed)]
    methods = methods_named(METHODS, options)
    requests = [(each.name, each.note, ExplanationRequest(each.name, options=options)) for each in methods]
    requests += _further(network)
    sheets: dict[str, bytes] = {"films": _strip([_plain(film) for film in films])}
    rows: list[GalleryRow] = []
    for title, note, request in progress(requests, len(requests), "explaining"):
        panels, hits, overlaps = [], 0, []
        for film in films:
            panel, hit, overlap = _explained(network, contract, film, request)
            panels.append(panel)
            hits += hit
            overlaps.append(overlap)
        file = title.replace(" ", "-").replace(",", "")
        sheets[file] = _strip(panels)
        rows.append(GalleryRow(title, note, file, hits, float(np.mean(overlaps))))
    drawn = drawn_names(RunFolder(run_root), contract.labels, contract.labels)
    sheets["labels"] = _strip(_label_panels(network, contract, drawn.by_name))
    folder = out / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in sheets.items():
        write_bytes(folder / f"{file}.webp", content)
    page = out / "gallery.html"
    write_bytes(page, gallery_page(rows, [film.label for film in films], PICTURES, contract.network.backbone).encode())
    return GalleryResult(page, len(sheets), sum(map(len, sheets.values())), drawn.note)


def _further(network: Any) -> list[tuple[str, str, ExplanationRequest]]:
    """Return requests beyond single methods: averaged views and fused layers."""
    stages = {f"backbone.layer{number}" for number in (2, 3, 4)}
    layers = tuple(name for name, _ in network.named_modules() if name in stages)
    note = "CAM averaged over the mirror image and input sizes 1 and 1.25"
    requests = [("cam, flip and scales", note, ExplanationRequest("cam", flip=True, scales=(1.0, 1.25)))]
    if layers:
        note = f"LayerCAM at {', '.join(layers)}, each as tanh(2 M / max M), the largest kept"
        requests.append(("layercam, layers fused", note, ExplanationRequest("layercam", layers=layers)))
    return requests


def _find_films(labels: list[str], seed: int) -> list[tuple[str, PhantomFilm]]:
    """Find, for each finding, the first film that shows it and little else; no film twice."""
    film_of: dict[str, PhantomFilm] = {}
    used: set[int] = set()
    for most in (1, 2, len(FINDINGS)):
        for index in range(_SEARCHED if most == 1 else 40):
            if len(film_of) == len(labels):
                break
            if index in used:
                continue
            film = render_film(seed, index, 128)
            missing = [label for label in film.masks if label in labels and label not in film_of]
            if missing and len(film.masks) <= most:
                film_of[missing[0]] = render_film(seed, index, _ROWS)
                used.add(index)
    return [(label, film_of[label]) for label in labels if label in film_of]


def _on_model_grid(label: str, contract: ModelContract, film: PhantomFilm) -> _GalleryFilm:
    spacing = (film.meta.row_spacing_mm, film.meta.col_spacing_mm)
    rows, cols = contract.rows, contract.cols
    prepared = prepare_for(contract, film.image, spacing)
    transform = prepared.transform
    native = np.any(film.masks[label], axis=0)
    mask = resampled(native.astype(np.float32), rows, cols, transform)
    boxes = [box_from_mask(each) for each in film.masks[label]]
    return _GalleryFilm(
        label=label,
        label_index=contract.labels.index(label),
        grey=np.clip(prepared.grey, 0.0, 1.0),
        mask=mask >= 0.5,
        boxes=tuple(transform.box_to_model(box) for box in boxes if box is not None),
        window=film_window(transform, (film.image.shape[0], film.image.shape[1]), (rows, cols)),
    )


def _explained(
    network: Any, contract: ModelContract, film: _GalleryFilm, of_method: ExplanationRequest
) -> tuple[Panel, bool, float]:
    """Draw one film's evidence; return the panel, whether its peak hits the finding, and the first box's IoU."""
    shape = (contract.rows, contract.cols)
    films = torch.from_numpy(film.grey)[None, None]
    request = replace(of_method, labels=(film.label_index,))
    explanation = explain_images(network, films, (contract.feature_rows, contract.feature_cols), request)
    heat = explanation.heat[0, 0].float().numpy()
    located = locate(heat[None], film.window, shape, FIXED, RegionRules(_MIN_AREA))
    boxes = [Box(*map(float, corners)) for corners in located.boxes[:1]]
    x, y = located.peaks_xy[0]
    hit = any(box.contains_xy(float(x), float(y)) for box in film.boxes)
    overlap = max((iou(boxes[0], box) for box in film.boxes), default=0.0) if boxes else 0.0
    displayed = upsampled(explanation.display_heat[0, 0].float().numpy()[None], shape, film.window)[0]
    caption = f"{'hit' if hit else 'miss'}, IoU {overlap:.2f}" if boxes else "no localization"
    return Panel(_panel(film, heat01_of(displayed), boxes), caption), hit, overlap


def _plain(film: _GalleryFilm) -> Panel:
    return Panel(_panel(film, None, []), film.label)


def _panel(film: _GalleryFilm, heat01: NDArray[np.float32] | None, boxes: list[Box]) -> NDArray[np.uint8]:
    """Draw the part of the model grid that the film covers."""
    part = film.window.slices
    grey = np.repeat(np.rint(film.grey[part] * 255).astype(np.uint8)[..., None], 3, axis=2)
    moved = GridTransform(1.0, 1.0, -float(film.window.col0), -float(film.window.row0))
    size = panel_size((grey.shape[0], grey.shape[1]), _PANEL_PX)
    return evidence_panel(grey, heat01, size, [moved.box_to_model(box) for box in boxes], film.mask[part])


def _label_panels(network: Any, contract: ModelContract, names: Mapping[str, str]) -> list[Panel]:
    start = torch.full((1, contract.rows, contract.cols), 0.5)
    drawn = maximize_activations(network, start, len(contract.labels), _CLIMB)[:, 0].numpy()
    size = panel_size((contract.rows, contract.cols), _PANEL_PX)
    pictures = [np.repeat(np.rint(grey * 255).astype(np.uint8)[..., None], 3, axis=2) for grey in drawn]
    return [
        Panel(evidence_panel(rgb, None, size), names[label])
        for rgb, label in zip(pictures, contract.labels, strict=True)
    ]


def _strip(panels: list[Panel]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(sheet(panels, len(panels))).save(stream, format="WEBP", quality=_QUALITY, method=6)
    return stream.getvalue()
