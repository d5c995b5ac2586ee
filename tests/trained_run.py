"""An ingested run of eight drawn films, for tests of training and of what comes after it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from camray.adapters.pixel_store import shard_path, write_shard
from camray.adapters.run_folder import RunFolder, write_table
from camray.adapters.settings import Settings, parse_settings
from camray.domain.records import IMAGE_COLUMNS, LABEL_COLUMNS, Counts, StageResult

LABELS = ("Left square", "Right square")
SIDE = 32


def small_settings(**train: object) -> Settings:
    """Settings of a fit that takes a second."""
    chosen = {"max_epochs": 3, "batch_size": 4, "learning_rate": 0.01, "ema_decay": 0.5, **train}
    model = {"widths": [4, 6, 8, 8], "stem_kernel": 3, "stride": 8}
    return parse_settings({"name": "small", "device": "cpu", "model": model, "train": chosen}, "test")


def ingested_run(root: Path, train: int = 8, validation: int = 4) -> RunFolder:
    """Write what `ingest` leaves: noise with a bright square left or right; two shards; some labels not known."""
    folder, films = RunFolder(root), train + validation
    out = folder.stage("ingest")
    pixels = np.random.default_rng(3).integers(80, 120, (films, SIDE, SIDE)).astype(np.uint8)
    labels = []
    for film in range(films):
        for label, cols, has in ((LABELS[0], slice(4, 12), film % 2), (LABELS[1], slice(20, 28), film // 2 % 2)):
            pixels[film, 12:20, cols] = 230 if has else pixels[film, 12:20, cols]
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
    images["shard"], images["index"] = np.arange(films) % 2, np.arange(films) // 2
    write_table(out / "images.parquet", images, IMAGE_COLUMNS)
    write_table(out / "labels.parquet", pd.DataFrame(labels, columns=list(LABEL_COLUMNS)), LABEL_COLUMNS)
    contract = {"labels": list(LABELS), "rows": SIDE, "cols": SIDE, "fit": "letterbox", "bits": 8}
    (out / "contract.json").write_text(json.dumps(contract), encoding="utf-8")
    folder.finish("ingest", {}, StageResult(Counts(films, films)))
    return folder
