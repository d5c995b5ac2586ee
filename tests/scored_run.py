"""A run folder as the stages before ``score`` leave it: bright squares on grey films, and maps that often find them.

Nothing in it is square, so that a swap of axes shows: the model grid, the feature cells, the films' pixels.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from camray.adapters.checkpoints import weights_bytes
from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import write_table
from camray.adapters.settings.schema import Settings
from camray.core.networks.classifier import build_classifier
from camray.domain.contract import ModelContract, NetworkSpec
from camray.domain.labels import Finding
from camray.domain.records import ANNOTATION_COLUMNS, EXPLAINED_COLUMNS, IMAGE_COLUMNS, LABEL_COLUMNS
from camray.io.ingest_contract import IngestContract, write_ingest_contract

MODEL = (96, 64)  # rows, cols, px
FEATURE = (6, 8)  # rows, cols, cells of 16 x 8 px
SPACING = (0.5, 0.4)  # row, col, mm
PLACES = {"train": 0.5, "validation": 0.2, "test": 0.3}


class FilmShape(NamedTuple):
    """A native shape, and where `MODEL` shows it: letterboxed in true proportions, worked by hand."""

    rows: int
    cols: int
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float


PORTRAIT = FilmShape(512, 384, 0.15, 0.1875, 3.2, 0.0)  # 256 x 153.6 mm at 0.375 px per mm: 96 x 57.6 px
LANDSCAPE = FilmShape(384, 512, 0.125, 0.15625, 0.0, 18.0)  # 192 x 204.8 mm at 0.3125 px per mm: 60 x 64 px


def settings_of(**score: object) -> Settings:
    return Settings.model_validate({"name": "squares", "score": {"bootstrap": 50, "pictures": False, **score}})


def make_run(
    root: Path, labels: tuple[str, ...], films: int, seed: int = 1, feature: tuple[int, int] = FEATURE
) -> RunFolder:
    """Write ``ingest`` and ``explain`` of a run; portrait and landscape films, letterboxed, two films per patient."""
    folder, rng = RunFolder(root), np.random.default_rng(seed)
    images, label_rows, annotations = [], [], []
    pixels = np.zeros((films, *MODEL), np.uint8)
    heat = {method: np.zeros((films, len(labels), *feature), np.float16) for method in ("cam", "gradcam")}
    logits = np.zeros((films, len(labels)), np.float32)
    splits = np.array(list(PLACES))[rng.choice(3, size=films // 2 + 1, p=list(PLACES.values()))]
    centres_y, centres_x = ((np.arange(n) + 0.5) * side / n for n, side in zip(feature, MODEL, strict=True))
    for film in range(films):
        shape = (PORTRAIT, LANDSCAPE)[film % 2]
        rows, cols, scale_x, scale_y, offset_x, offset_y = shape
        image_id = f"1.2.{film:04d}"
        top, left = round(offset_y), round(offset_x)
        inside = pixels[film, top : MODEL[0] - top, left : MODEL[1] - left]
        inside[:] = 70 + 20 * rng.random(inside.shape)
        images.append(
            (
                image_id,
                f"patient-key-{film // 2:03d}",
                f"s{film:03d}",
                f"{film}.dcm",
                f"{film:064x}",
                rows,
                cols,
                *SPACING,
                "imager",
                "MONOCHROME2",
                12,
                "1.2.840.10008.1.2.1",
                "DX",
                "PA",
                "",
                splits[film // 2],
                0,
                film,
                scale_x,
                scale_y,
                offset_x,
                offset_y,
            )
        )
        for number, label in enumerate(labels):
            present = rng.random() < 0.5
            noise = rng.normal(0, 0.15, feature)
            logits[film, number] = rng.normal(1.5 if present else -1.5, 1.0)
            if rng.random() < 0.05:
                label_rows.append((image_id, label, "uncertain"))
            else:
                label_rows.append((image_id, label, str(int(present))))
            if present:
                width, height = rng.uniform(60, 160, 2)
                x0 = rng.uniform(0, cols - width) * 0.3 + (0.15 + 0.1 * number) * (cols - width)
                y0 = rng.uniform(0, rows - height)
                annotations.append((image_id, label, "reader", "box", x0, y0, x0 + width, y0 + height, ""))
                centre_x = (x0 + width / 2) * scale_x + offset_x + rng.normal(0, 2)
                centre_y = (y0 + height / 2) * scale_y + offset_y + rng.normal(0, 2)
                distance2 = (centres_y[:, None] - centre_y) ** 2 + (centres_x[None] - centre_x) ** 2
                noise += 2 * np.exp(-distance2 / (2 * 8.0**2)) * (rng.random() < 0.85)
                down = slice(int(y0 * scale_y + offset_y), int((y0 + height) * scale_y + offset_y))
                across = slice(int(x0 * scale_x + offset_x), int((x0 + width) * scale_x + offset_x))
                pixels[film, down, across] += 80
            heat["cam"][film, number] = noise
            heat["gradcam"][film, number] = np.maximum(noise + rng.normal(0, 0.1, feature), 0) / 64
    ingest, explain = folder.stage("ingest"), folder.stage("explain")
    write_table(ingest / "images.parquet", pd.DataFrame(images, columns=list(IMAGE_COLUMNS)), IMAGE_COLUMNS)
    write_table(ingest / "labels.parquet", pd.DataFrame(label_rows, columns=list(LABEL_COLUMNS)), LABEL_COLUMNS)
    boxes = pd.DataFrame(annotations, columns=list(ANNOTATION_COLUMNS))
    write_table(ingest / "annotations.parquet", boxes, ANNOTATION_COLUMNS)
    findings = tuple(Finding(label) for label in labels)
    contract = IngestContract(findings, *MODEL, "letterbox", 8, "folder", "digest")
    write_ingest_contract(ingest / "contract.json", contract)
    (ingest / "store").mkdir(exist_ok=True)
    np.save(ingest / "store" / "films-00000.npy", pixels)
    kept = np.flatnonzero(np.isin(splits[np.arange(films) // 2], ["validation", "test"]))
    table = pd.DataFrame(
        {"image_id": [images[k][0] for k in kept], "split": splits[kept // 2], "shard": 0, "index": range(len(kept))}
    )
    write_table(explain / "images.parquet", table, EXPLAINED_COLUMNS)
    np.save(explain / "logits.npy", logits[kept])
    for method, maps in heat.items():
        np.save(explain / f"heat-{method}-00000.npy", maps[kept])
    write_json(
        explain / "grid.json",
        {
            "rows": MODEL[0],
            "cols": MODEL[1],
            "feature_rows": feature[0],
            "feature_cols": feature[1],
            "labels": list(labels),
            "methods": ["cam", "gradcam"],
            "heat_exponents": {"cam": 0, "gradcam": 0},
            "notes": {},
        },
    )
    return folder


def add_network(folder: RunFolder, labels: tuple[str, ...]) -> None:
    """Write ``train``: a network of random weights, of which the films' squares can be told, with cells of 8 px."""
    spec = NetworkSpec(widths=(16, 32, 64, 64), stem_kernel=3, stride=8, normalise="film")
    contract = ModelContract(labels, *MODEL, "letterbox", 8, spec, MODEL[0] // 8, MODEL[1] // 8, "digest", 1, "version")
    write_json(folder.stage("train") / "contract.json", contract.as_json())
    weights = build_classifier(spec, len(labels), seed=3).state_dict()
    write_bytes(folder.stage("train") / "model.safetensors", weights_bytes(weights))
