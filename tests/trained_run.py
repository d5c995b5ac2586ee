"""An ingested run of twelve drawn films, for tests of training and of what comes after it."""

from pathlib import Path

import numpy as np
import pandas as pd

from camray.adapters.pixel_store import shard_path, write_shard
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import write_table
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.domain.labels import Finding
from camray.domain.records import IMAGE_COLUMNS, LABEL_COLUMNS, Counts, StageResult
from camray.io.ingest_contract import IngestContract, write_ingest_contract

LABELS = ("Left square", "Right square")
ROWS, COLS = 96, 64  # model grid, px
STRIDE = 8  # of the small network: 12 x 8 cells
# native shape and transform of films in turn, pixels of 0.3 x 0.2 mm, letterboxed in true proportions
GEOMETRY = ("rows", "cols", "row_spacing_mm", "col_spacing_mm", "scale_x", "scale_y", "offset_x", "offset_y")
PORTRAIT = (96, 80, 0.3, 0.2, 2 / 3, 1.0, 16 / 3, 0.0)
LANDSCAPE = (64, 128, 0.3, 0.2, 0.5, 0.75, 0.0, 24.0)


def small_settings(**train: object) -> Settings:
    """Settings of a fit that takes a second."""
    chosen = {"max_epochs": 3, "batch_size": 4, "learning_rate": 0.01, "ema_decay": 0.5, **train}
    model = {"widths": [4, 6, 8, 8], "stem_kernel": 3, "stride": STRIDE}
    return parse_settings({"name": "small", "device": "cpu", "model": model, "train": chosen}, "test")


def ingested_run(root: Path, train: int = 8, validation: int = 4) -> RunFolder:
    """Write what `ingest` leaves: noise with a bright square left or right; two shards; some labels not known.

    No annotations: training reads none, and tests that localize write their own.
    """
    folder, films = RunFolder(root), train + validation
    out = folder.stage("ingest")
    pixels = np.random.default_rng(3).integers(80, 120, (films, ROWS, COLS)).astype(np.uint8)
    labels = []
    for film in range(films):
        for label, cols, has in ((LABELS[0], slice(8, 24), film % 2), (LABELS[1], slice(40, 56), film // 2 % 2)):
            pixels[film, 36:60, cols] = 230 if has else pixels[film, 36:60, cols]
            if film != 1 or label == LABELS[0]:  # film 1: nothing known of the right
                labels.append((f"1.2.{film}", label, "uncertain" if film == 2 and label == LABELS[1] else str(has)))
    for shard in range(2):
        part = pixels[shard::2]
        write_shard(shard_path(out / "store", shard), iter(part), part.shape[1:], np.uint8)
    images = pd.DataFrame(
        {name: ["x"] * films if kind == "string" else np.zeros(films) for name, kind in IMAGE_COLUMNS.items()}
    )
    images["image_id"] = [f"1.2.{film}" for film in range(films)]
    images["split"] = ["train"] * train + ["validation"] * validation
    images[list(GEOMETRY)] = [(PORTRAIT, LANDSCAPE)[film % 2] for film in range(films)]
    images["shard"], images["index"] = np.arange(films) % 2, np.arange(films) // 2
    write_table(out / "images.parquet", images, IMAGE_COLUMNS)
    write_table(out / "labels.parquet", pd.DataFrame(labels, columns=list(LABEL_COLUMNS)), LABEL_COLUMNS)
    findings = tuple(Finding(label) for label in LABELS)
    contract = IngestContract(findings, ROWS, COLS, "letterbox", 8, "folder", "digest")
    write_ingest_contract(out / "contract.json", contract)
    finish_ingest(folder)
    return folder


def finish_ingest(folder: RunFolder) -> None:
    """Record the files in ``ingest/`` as that stage's outputs; again after a test has changed one."""
    films = len(pd.read_parquet(folder.root / "ingest" / "images.parquet"))
    folder.finish("ingest", {}, StageResult(Counts(films, films)))
