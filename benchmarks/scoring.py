"""Time and memory of scoring many films from their heat maps.

Run: ``python -m benchmarks.scoring [--films 5000] [--labels 14] [--boxed 0.05] [--bootstrap 1000] [--folder FOLDER]``

A run folder is generated: films with labels, boxes on some of them, logits, one method's raw maps (16 x 16 cells, half
precision) and its best boxes. The stage ``score`` then runs on it in a process of its own, without pictures: all
metrics, all thresholds, all baselines, intervals by patient. Films per second of processor time (wall time
says less on a busy machine) and the process's peak memory are printed with the machine. ``--films 100000`` takes 1.5
GB of disk.
"""

import argparse
import json
import multiprocessing
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import write_table
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.box_thresholds import BoxThreshold, Thresholds
from camray.domain.records import (
    ANNOTATION_COLUMNS,
    EXPLAINED_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    PREDICTION_COLUMNS,
    ThresholdSource,
)
from camray.io.thresholds import write_thresholds

SIDE, MODEL, CELLS, SHARD = 1024, 256, 16, 512


def main() -> None:
    """Generate, score, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--films", type=int, default=5000)
    parser.add_argument("--labels", type=int, default=14)
    parser.add_argument("--boxed", type=float, default=0.05, help="share of film and label pairs with a box")
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the run is generated; default: a temporary one"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = (asked.folder or Path(temporary)) / f"scoring-{asked.films}"
        began = time.perf_counter()
        boxes = generate(root, asked.films, asked.labels, asked.boxed)
        made = time.perf_counter() - began
        seconds, busy, peak_mib, rows = score_in_a_process(root, asked.bootstrap)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{asked.films} films x {asked.labels} labels, {boxes} boxes; generated in {made:.0f} s")
    print(f"scored in {seconds:.1f} s, {busy:.1f} s of them on a core: {asked.films / busy:.0f} films/s and core")
    print(f"{rows} rows, {asked.bootstrap} resamples")
    print(f"peak memory {peak_mib:.0f} MiB")


def generate(root: Path, films: int, labels: int, boxed: float) -> int:
    """Write the run that is scored; return how many boxes it holds."""
    rng = np.random.default_rng(1)
    names = [f"finding {number:02d}" for number in range(labels)]
    ids = np.array([f"1.2.{number:07d}" for number in range(films)], dtype=object)
    split = np.where(rng.random(films) < 0.05, "validation", "test").astype(object)
    split[: max(films // 50, 20)] = "train"
    ingest, explain, localize = (RunFolder(root).stage(name) for name in ("ingest", "explain", "localize"))
    scale = MODEL / SIDE
    images = pd.DataFrame({column: "" for column in IMAGE_COLUMNS}, index=range(films))
    images = images.assign(
        image_id=ids,
        patient_key=[f"p{n // 3:07d}" for n in range(films)],
        rows=SIDE,
        cols=SIDE,
        row_spacing_mm=0.2,
        col_spacing_mm=0.2,
        bits_stored=8,
        split=split,
        shard=np.arange(films) // SHARD,
        index=np.arange(films) % SHARD,
        scale_x=scale,
        scale_y=scale,
        offset_x=0.0,
        offset_y=0.0,
    )
    write_table(ingest / "images.parquet", images[list(IMAGE_COLUMNS)], IMAGE_COLUMNS)
    film, label = np.divmod(np.arange(films * labels), labels)
    marked = rng.random(films * labels) < boxed
    label_names = np.array(names, dtype=object)
    table = pd.DataFrame({"image_id": ids[film], "label": label_names[label], "value": np.where(marked, "1", "0")})
    write_table(ingest / "labels.parquet", table[list(LABEL_COLUMNS)], LABEL_COLUMNS)
    corner = rng.uniform(0, SIDE - 300, (int(marked.sum()), 2))
    sides = rng.uniform(60, 300, corner.shape)
    boxes = pd.DataFrame(
        {"image_id": ids[film[marked]], "label": label_names[label[marked]], "reader": "", "kind": "box"}
    )
    boxes[["x0", "y0"]], boxes[["x1", "y1"]], boxes["rle"] = corner, corner + sides, ""
    write_table(ingest / "annotations.parquet", boxes[list(ANNOTATION_COLUMNS)], ANNOTATION_COLUMNS)
    explained = np.flatnonzero(split != "train")
    seen = pd.DataFrame({"image_id": ids[explained], "split": split[explained]})
    seen["shard"], seen["index"] = np.arange(len(explained)) // SHARD, np.arange(len(explained)) % SHARD
    write_table(explain / "images.parquet", seen, EXPLAINED_COLUMNS)
    logits = rng.normal(-2, 1, (len(explained), labels)).astype(np.float32)
    np.save(explain / "logits.npy", logits + 2 * marked.reshape(films, labels)[explained])
    centres = np.full((films * labels, 2), np.nan)
    centres[marked] = (corner + sides / 2) / SIDE * CELLS
    _write_maps(explain, rng, explained, centres.reshape(films, labels, 2))
    grid = {"rows": MODEL, "cols": MODEL, "feature_rows": CELLS, "feature_cols": CELLS, "labels": names}
    write_json(explain / "grid.json", {**grid, "methods": ["cam"], "heat_exponents": {"cam": 0}, "notes": {}})
    told = np.isin(film, explained)
    _write_predictions(
        localize, rng, ids[film[told]], label_names[label[told]], np.load(explain / "logits.npy").ravel()
    )
    return len(boxes)


def _write_maps(explain: Path, rng: np.random.Generator, explained: np.ndarray, centres: np.ndarray) -> None:
    cell = np.arange(CELLS) + 0.5
    for shard, first in enumerate(range(0, len(explained), SHARD)):
        films = explained[first : first + SHARD]
        maps = rng.normal(0, 0.2, (len(films), centres.shape[1], CELLS, CELLS))
        x, y = (np.nan_to_num(centres[films, :, axis], nan=-9.0)[..., None] for axis in (0, 1))
        blob = np.exp(-((cell - y) ** 2) / 8)[..., :, None] * np.exp(-((cell - x) ** 2) / 8)[..., None, :]
        np.save(explain / f"heat-cam-{shard:05d}.npy", (maps + 2 * blob).astype(np.float16))


def _write_predictions(
    folder: Path, rng: np.random.Generator, ids: np.ndarray, labels: np.ndarray, logits: np.ndarray
) -> None:
    corner = rng.uniform(0, SIDE - 300, (len(ids), 2))
    end = corner + rng.uniform(60, 300, corner.shape)
    table = pd.DataFrame({"image_id": ids, "label": labels, "logit": logits, "probability": 1 / (1 + np.exp(-logits))})
    table[["x0", "y0"]], table[["x1", "y1"]], table["score"] = corner, end, 1.0
    table["method"], table["threshold_id"] = "cam", "cam-fixed"
    table[["peak_x", "peak_y"]] = (corner + end) / 2
    table["rank"], table["reported"] = 0, True
    for column in set(PREDICTION_COLUMNS) - set(table.columns):
        table[column] = ""
    write_table(folder / "predictions.parquet", table[list(PREDICTION_COLUMNS)], PREDICTION_COLUMNS)
    recipe = BoxRecipe("max", 0.2)
    threshold = BoxThreshold("cam-fixed", "cam", "", "fraction_of_max", ThresholdSource.FIXED, recipe, None, "", 0)
    write_thresholds(folder / "thresholds.json", Thresholds((threshold,), ()))


def score_in_a_process(root: Path, bootstrap: int) -> tuple[float, float, float, int]:
    """Score in a fresh process, so that its peak memory is its own: seconds, of processor too, MiB and rows."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        told = pool.apply(_score, (str(root), bootstrap))
    seconds, busy, peak, rows = json.loads(told)
    return seconds, busy, peak, rows


def _score(root: str, bootstrap: int) -> str:
    from camray.stages.score import stage as score

    settings = Settings.model_validate({"name": "scoring", "score": {"bootstrap": bootstrap, "pictures": False}})
    began, spent = time.perf_counter(), time.process_time()
    score.run(settings, RunFolder(Path(root)), NullTracker())
    seconds, busy = time.perf_counter() - began, time.process_time() - spent
    rows = len(pd.read_csv(Path(root) / "score" / "scores.csv"))
    return json.dumps((seconds, busy, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, rows))


if __name__ == "__main__":
    main()
