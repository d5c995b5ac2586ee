"""A run folder as ``localize`` leaves it, with source films in many encodings, for tests of what goes to a PACS."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camray.adapters.dicom.read.image import read_dicom
from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import write_table
from camray.adapters.settings.schema import Settings
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.box_thresholds import BoxThreshold, ReportCutoff, Thresholds
from camray.core.probability.calibration import LabelCalibration
from camray.domain.labels import Code, Finding
from camray.domain.records import (
    ANNOTATION_COLUMNS,
    EXPLAINED_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    PREDICTION_COLUMNS,
    ThresholdSource,
)
from camray.io.film_files import pixel_digest
from camray.io.ingest_contract import IngestContract, write_ingest_contract
from camray.io.thresholds import write_thresholds
from tests.adapters.dicom.object_films import ENCODINGS, phantom

LABELS = ("Nodule/Mass", "Effusion")
SHAPES = ((101, 83), (83, 101))  # native rows, cols of films in turn, px of 0.2 x 0.18 mm
MODEL, FEATURE = (96, 64), (6, 8)  # rows, cols


def settings_of(root: Path, **export: Any) -> Settings:
    return Settings.model_validate(
        {"name": "squares", "data": {"root": root / "films"}, "export": {"max_overlays": 0, **export}}
    )


def make_run(root: Path, films: int, sources: Sequence[Path] = ()) -> RunFolder:
    """Films of mixed encoding, or copies of `sources`; every third is negative, every fourth has two boxes."""
    folder, names = RunFolder(root / "run"), list(ENCODINGS)
    (root / "films").mkdir(parents=True)
    images, predictions = [], []
    rng = np.random.default_rng(2)
    for film in range(films):
        path = root / "films" / f"{film:03d}.dcm"
        encoding, shape = names[film % len(names)], SHAPES[film % 2]
        path.write_bytes(sources[film].read_bytes() if sources else phantom(encoding, shape, index=film))
        stored = read_dicom(path, None)
        rows, cols = stored.values.shape
        per_mm = min(MODEL[0] / (rows * 0.2), MODEL[1] / (cols * 0.18))
        scale_x, scale_y = per_mm * 0.18, per_mm * 0.2
        offset = ((MODEL[1] - cols * scale_x) / 2, (MODEL[0] - rows * scale_y) / 2)
        image_id = stored.header.image_id
        images.append(
            (
                image_id,
                "p",
                "s",
                path.name,
                pixel_digest(stored.values),
                rows,
                cols,
                0.2,
                0.18,
                "imager",
                "MONOCHROME2",
                12,
                "1.2.840.10008.1.2.1",
                "DX",
                "PA",
                "",
                "test",
                0,
                film,
                scale_x,
                scale_y,
                *offset,
            )
        )
        for number, label in enumerate(LABELS):
            probability = 0.2 if film % 3 == 0 else (0.9, 0.3)[number]
            for rank in range(2 if film % 4 == 1 else 1):
                x0, y0 = rng.uniform(1, 40, 2)
                row = {
                    "image_id": image_id,
                    "label": label,
                    "logit": 0.0,
                    "probability": probability,
                    "x0": x0,
                    "y0": y0,
                    "x1": x0 + 20 + rank,
                    "y1": y0 + 31.3,
                    "score": 1.5 - rank,
                    "method": "cam",
                    "threshold_id": f"fixed/cam/{label}",
                    "peak_x": x0 + 3,
                    "peak_y": y0 + 3,
                    "rank": rank,
                    "reported": probability > 0.5,
                    "zone": "right upper",
                }
                predictions.append({name: row[name] for name in PREDICTION_COLUMNS})
    ingest, explain, localize = (folder.stage(name) for name in ("ingest", "explain", "localize"))
    write_table(ingest / "images.parquet", pd.DataFrame(images, columns=list(IMAGE_COLUMNS)), IMAGE_COLUMNS)
    for name, columns in (("labels", LABEL_COLUMNS), ("annotations", ANNOTATION_COLUMNS)):
        write_table(ingest / f"{name}.parquet", pd.DataFrame(columns=list(columns)), columns)
    findings = (Finding(LABELS[0], Code("4147007", "SCT", "Mass")), Finding(LABELS[1]))
    contract = IngestContract(findings, *MODEL, "letterbox", 8, "folder", "digest")
    write_ingest_contract(ingest / "contract.json", contract)
    table = pd.DataFrame(
        {"image_id": [row[0] for row in images], "split": "test", "shard": 0, "index": range(films)},
        columns=list(EXPLAINED_COLUMNS),
    )
    write_table(explain / "images.parquet", table, EXPLAINED_COLUMNS)
    np.save(explain / "logits.npy", np.zeros((films, 2), np.float32))
    np.save(explain / "heat-cam-00000.npy", rng.normal(0.2, 1.0, (films, 2, *FEATURE)).astype(np.float16))
    grid = {
        "rows": MODEL[0],
        "cols": MODEL[1],
        "feature_rows": FEATURE[0],
        "feature_cols": FEATURE[1],
        "labels": list(LABELS),
        "methods": ["cam"],
        "heat_exponents": {"cam": 0},
        "notes": {},
    }
    write_json(explain / "grid.json", grid)
    recipe = BoxRecipe("max", 0.2)
    thresholds = Thresholds(
        tuple(
            BoxThreshold(f"fixed/cam/{label}", "cam", label, "fixed", ThresholdSource.FIXED, recipe, None, "", 0)
            for label in LABELS
        ),
        tuple(ReportCutoff(label, 0.5, None, "", 0) for label in LABELS),
        (),
        tuple(LabelCalibration(label, "shift", prevalence=0.25) for label in LABELS),
    )
    write_thresholds(localize / "thresholds.json", thresholds)
    write_table(localize / "predictions.parquet", pd.DataFrame(predictions), PREDICTION_COLUMNS)
    (folder.stage("train") / "model.safetensors").write_bytes(b"weights")
    return folder


def change_a_box(folder: RunFolder, image_id: str) -> None:
    """Move a film's boxes by one pixel."""
    path = folder.root / "localize" / "predictions.parquet"
    table = pd.read_parquet(path)
    table.loc[table["image_id"] == image_id, ["x0", "x1"]] += 1.0
    write_table(path, table, PREDICTION_COLUMNS)
