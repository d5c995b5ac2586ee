"""A run folder as the stages before ``score`` leave it: bright squares on grey films, and maps that often find them."""

from pathlib import Path

import numpy as np
import pandas as pd

from camray.adapters.run_folder import RunFolder, write_json, write_table
from camray.adapters.settings import Settings
from camray.domain.records import ANNOTATION_COLUMNS, EXPLAINED_COLUMNS, IMAGE_COLUMNS, LABEL_COLUMNS

MODEL = (64, 64)  # rows, cols
FEATURE = (8, 8)
PLACES = {"train": 0.5, "validation": 0.2, "test": 0.3}


def settings_of(**score: object) -> Settings:
    return Settings.model_validate({"name": "squares", "score": {"bootstrap": 50, "pictures": False, **score}})


def make_run(root: Path, labels: tuple[str, ...], films: int, seed: int = 1) -> RunFolder:
    """Write ``ingest`` and ``explain`` of a run; landscape and portrait films, letterboxed, two films a patient."""
    folder, rng = RunFolder(root), np.random.default_rng(seed)
    images, label_rows, annotations = [], [], []
    pixels = np.zeros((films, *MODEL), np.uint8)
    heat = {method: np.zeros((films, len(labels), *FEATURE), np.float16) for method in ("cam", "gradcam")}
    logits = np.zeros((films, len(labels)), np.float32)
    splits = np.array(list(PLACES))[rng.choice(3, size=films // 2 + 1, p=list(PLACES.values()))]
    for film in range(films):
        rows, cols = ((512, 384), (384, 512))[film % 2]
        scale = 64 / 512
        offset_x, offset_y = (64 - cols * scale) / 2, (64 - rows * scale) / 2
        image_id = f"1.2.{film:04d}"
        top, left = round(offset_y), round(offset_x)
        pixels[film, top : 64 - top, left : 64 - left] = 70 + 20 * rng.random((64 - 2 * top, 64 - 2 * left))
        images.append(
            (image_id, f"patient-key-{film // 2:03d}", f"s{film:03d}", f"{film}.dcm", f"{film:064x}", rows, cols,
             0.4, 0.4, "imager", "MONOCHROME2", 12, "1.2.840.10008.1.2.1", "DX", "PA", "", splits[film // 2], 0, film,
             scale, scale, offset_x, offset_y)
        )  # fmt: skip
        for number, label in enumerate(labels):
            present = rng.random() < 0.5
            noise = rng.normal(0, 0.15, FEATURE)
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
                centre_x = (x0 + width / 2) * scale + offset_x + rng.normal(0, 2)
                centre_y = (y0 + height / 2) * scale + offset_y + rng.normal(0, 2)
                r, c = (np.arange(8) + 0.5) * 8, (np.arange(8) + 0.5) * 8
                blob = np.exp(-((r[:, None] - centre_y) ** 2 + (c[None] - centre_x) ** 2) / (2 * 8.0**2))
                noise += 2 * blob * (rng.random() < 0.85)
                model = [int(v) for v in (y0 * scale + offset_y, (y0 + height) * scale + offset_y)]
                side = [int(v) for v in (x0 * scale + offset_x, (x0 + width) * scale + offset_x)]
                pixels[film, model[0] : model[1], side[0] : side[1]] += 80
            heat["cam"][film, number] = noise
            heat["gradcam"][film, number] = np.maximum(noise + rng.normal(0, 0.1, FEATURE), 0) / 64
    ingest, explain = folder.stage("ingest"), folder.stage("explain")
    write_table(ingest / "images.parquet", pd.DataFrame(images, columns=list(IMAGE_COLUMNS)), IMAGE_COLUMNS)
    write_table(ingest / "labels.parquet", pd.DataFrame(label_rows, columns=list(LABEL_COLUMNS)), LABEL_COLUMNS)
    boxes = pd.DataFrame(annotations, columns=list(ANNOTATION_COLUMNS))
    write_table(ingest / "annotations.parquet", boxes, ANNOTATION_COLUMNS)
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
        {"rows": 64, "cols": 64, "feature_rows": 8, "feature_cols": 8, "labels": list(labels),
         "methods": ["cam", "gradcam"], "heat_exponents": {"cam": 0, "gradcam": 0}, "notes": {}},
    )  # fmt: skip
    return folder
