"""Ingest speed and memory beside a plain loop: pydicom decode, window, resize, in one process.

Run   ``python benchmarks/ingest.py ../shared/data/tb_hemithorax/dicom`` (any folder of DICOM films)

Prints films per second of both, their ratio per core, and how memory grows with the number of films. The plain loop
neither hashes, checks, searches for duplicates nor writes; camray's ends with the store on disk. Both take turns for
``--rounds`` rounds; medians are printed. The last line compares processor time, which other load disturbs less.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pydicom
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from camray.adapters.process_pool import map_processes
from camray.domain.errors import ImageError
from camray.domain.films import FilmPolicy
from camray.stages.ingest.film_worker import FilmPlan, FilmRow, read_row, refused_row
from camray.stages.ingest.resumable_chunks import Parts, chunked

ROWS, COLS = 256, 256


def plain(paths: list[Path]) -> int:
    """Decode and resize as most scripts do; return how many films it managed."""
    done = []
    for path in paths:
        ds = pydicom.dcmread(path)
        grey = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds).astype(np.float32)
        grey = (grey - grey.min()) / max(float(np.ptp(grey)), 1.0)
        if ds.PhotometricInterpretation == "MONOCHROME1":
            grey = 1 - grey
        done.append(
            (np.asarray(Image.fromarray(grey).resize((COLS, ROWS), Image.Resampling.BOX)) * 255).astype(np.uint8)
        )
    return len(done)


def ours(paths: list[Path], root: Path, workers: int, folder: Path) -> tuple[int, float]:
    """Read films into chunks on disk as the stage does; return how many, and the peak memory of this process, MiB."""
    plan = FilmPlan(root, FilmPolicy(), ROWS, COLS, "letterbox", 8, "sop_instance_uid", "header", b"k" * 32)
    sources = [path.relative_to(root).as_posix() for path in paths]
    parts = Parts(folder, (ROWS, COLS), 8, chunked(sources, 128))

    def read(wanted):
        for outcome in map_processes(partial(read_row, plan), wanted, workers):
            yield outcome.value if isinstance(outcome.value, FilmRow) else refused_row(outcome.item, outcome.error)

    process, peak = psutil.Process(), 0.0
    for count in parts.fill(read):
        if count:
            peak = max(peak, process.memory_info().rss / 2**20)
    return len(sources), peak


def processor_ms(paths: list[Path], plan: FilmPlan, rounds: int) -> dict[str, list[float]]:
    """Return the processor time a film of both in this process, ms, for each round."""
    costs: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(rounds):
        start = time.process_time()
        plain(paths)
        costs["plain"].append((time.process_time() - start) / len(paths) * 1e3)
        start = time.process_time()
        for path in paths:
            read_row(plan, path.relative_to(plan.root).as_posix())
        costs["ours"].append((time.process_time() - start) / len(paths) * 1e3)
    return costs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--films", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.rglob("*") if path.is_file())[: options.films]
    plan = FilmPlan(options.folder, FilmPolicy(), ROWS, COLS, "letterbox", 8, "sop_instance_uid", "header", b"k" * 32)
    for path in paths[:8]:  # warm codecs and the file cache
        try:
            read_row(plan, path.relative_to(options.folder).as_posix())
        except ImageError:
            continue
    rates: dict[str, list[float]] = {"plain": [], "ours": [], "steady": []}
    peaks = []
    for _ in range(options.rounds):
        start = time.perf_counter()
        rates["plain"].append(plain(paths) / (time.perf_counter() - start))
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            count, peak = ours(paths, options.folder, options.workers, Path(folder) / "parts")
            whole_s = time.perf_counter() - start
            rates["ours"].append(count / whole_s)
            start = time.perf_counter()
            fewer, half = ours(paths[: len(paths) // 2], options.folder, options.workers, Path(folder) / "half")
            rates["steady"].append((count - fewer) / (whole_s - time.perf_counter() + start))
            peaks.append((half, peak))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    ratio = middle["ours"] / middle["plain"]
    cores, python = os.cpu_count(), platform.python_version()
    print(f"machine   {platform.machine()}, {cores} cores, {options.workers} workers; load {os.getloadavg()[0]:.1f}")
    print(f"versions  Python {python}, pydicom {pydicom.__version__}, numpy {np.__version__}")
    print(f"size      {len(paths)} films to {ROWS} x {COLS} px, {options.rounds} rounds")
    print(f"plain     {middle['plain']:.1f} films/s in one process")
    print(f"ours      {middle['ours']:.1f} films/s, start of the workers included")
    print(f"ratio     {ratio:.2f} = {ratio / options.workers:.2f} x workers")
    steady = middle["steady"] / middle["plain"]
    print(f"steady    {middle['steady']:.1f} films/s once the workers run: what the second half of the films adds")
    print(f"ratio     {steady:.2f} = {steady / options.workers:.2f} x workers (must reach 0.90)")
    half, whole = (max(values) for values in zip(*peaks, strict=True))
    print(f"memory    parent at most {whole:.0f} MiB; with half the films {half:.0f} MiB")
    costs = {name: statistics.median(values) for name, values in processor_ms(paths, plan, options.rounds).items()}
    once = costs["plain"] / costs["ours"]
    print(f"processor plain {costs['plain']:.1f}, ours {costs['ours']:.1f} ms a film: {once:.2f} x on one core")


if __name__ == "__main__":
    main()
