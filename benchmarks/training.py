"""Training speed with the real loader beside a bare PyTorch loop: same network, batch and steps, data in memory.

Run: ``python benchmarks/training.py [--films 512] [--side 256] [--batch 32] [--backbone resnet_light] [--threads 2]``

Both sides take turns in one process; the ratio of the fastest passes is printed, with machine and versions. The bare
loop is what a user would write: a float tensor of all films in memory, indexing, forward, loss, backward, AdamW. camray
reads uint8 shards from disk through the memory-mapped store in a thread. Two figures: the loader alone (augmentation,
averaging and clipping off, so that the arithmetic is the same), and camray's whole step. Ratios of wall time and of CPU
time are printed; on a busy machine the second says more.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import monai
import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from camray.adapters.pixel_store import PixelStore, shard_path, write_shard
from camray.core.networks.classifier import build_classifier
from camray.core.training.augmentation import Augmentation
from camray.core.training.batches import Batch, batches, epoch_order, read_ahead
from camray.core.training.device import autocast_dtype, choose_device
from camray.core.training.fit_settings import FitSettings
from camray.core.training.trainer import Processes, Trainer
from camray.domain.contract import NetworkSpec

LABELS, SHARD_FILMS, GOAL = 5, 256, 0.95
FULL = Augmentation(
    flip=0.5,
    rotate_deg=10,
    translate=0.06,
    scale=0.15,
    aspect=0.05,
    gamma=0.3,
    contrast=0.2,
    brightness=0.1,
    noise=0.02,
)


def _plan(steps: int) -> FitSettings:
    return FitSettings(
        epochs=10**6,
        steps_per_epoch=steps,
        learning_rate=1e-4,
        final_learning_rate=1.0,
        weight_decay=0.01,
        warmup_epochs=0,
        label_smoothing=0.0,
        ema_decay=0.0,
        clip_norm=0.0,
        patience=0,
        keep_best=False,
        seed=1,
        augmentation=Augmentation(),
    )


def _bare(
    pixels: np.ndarray, targets: np.ndarray, spec: NetworkSpec, batch: int, device: torch.device
) -> Callable[[], None]:
    model = build_classifier(spec, LABELS, seed=1).to(device=device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
    films = (torch.from_numpy(pixels).float() / 255)[:, None].to(device)
    wanted, dtype = torch.from_numpy(targets).to(device), autocast_dtype(device, True)

    def epoch() -> None:
        order = torch.randperm(len(films), device=device)
        for start in range(0, len(films) - batch + 1, batch):
            chosen = order[start : start + batch]
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
                logits = model(films[chosen].contiguous(memory_format=torch.channels_last))
            binary_cross_entropy_with_logits(logits.float(), wanted[chosen]).backward()
            optimizer.step()

    return epoch


def _ours(
    folder: Path, targets: np.ndarray, spec: NetworkSpec, batch: int, device: torch.device, plan: FitSettings
) -> Callable[[], None]:
    ones, store = np.ones(LABELS, np.float32), PixelStore(folder)
    trainer = Trainer(build_classifier(spec, LABELS, seed=1), plan, ones, ones, device, Processes())

    def read(positions: np.ndarray) -> np.ndarray:
        return store.rows((positions // SHARD_FILMS).tolist(), (positions % SHARD_FILMS).tolist())

    def train(epoch: int) -> Iterator[Batch]:
        order = epoch_order(len(targets), batch, 1, epoch)
        return read_ahead(batches(order, read, targets, device.type == "cuda"), 3)

    return lambda: void(trainer.run_epoch(train(len(trainer.reports)), [], time.perf_counter))


def void(_: object) -> None:
    """Drop a result."""


def _fastest(
    epochs: dict[str, Callable[[], None]], passes: int, device: torch.device
) -> dict[str, tuple[float, float]]:
    """Return the least seconds of the clock and of the CPU."""
    found = dict.fromkeys(epochs, (float("inf"), float("inf")))
    for number in range(passes + 1):  # the first warms up
        for name, epoch in epochs.items():
            started, worked = time.perf_counter(), time.process_time()
            epoch()
            if device.type == "cuda":
                torch.cuda.synchronize()
            took = time.perf_counter() - started, time.process_time() - worked
            if number:
                found[name] = min(found[name][0], took[0]), min(found[name][1], took[1])
    return found


def main() -> int:
    """Measure, print, and fail below the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("films", 512), ("side", 256), ("batch", 32), ("threads", 2), ("passes", 3), ("stride", 16)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--backbone", default="resnet_light")
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    device, spec = choose_device(chosen.device), NetworkSpec(backbone=chosen.backbone, stride=chosen.stride)
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 256, (chosen.films, chosen.side, chosen.side), dtype=np.uint8)
    targets = generator.integers(0, 2, (chosen.films, LABELS)).astype(np.float32)
    plan = _plan(len(epoch_order(chosen.films, chosen.batch, 1, 0)))
    whole = replace(plan, augmentation=FULL, ema_decay=0.99, clip_norm=1.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for shard, start in enumerate(range(0, chosen.films, SHARD_FILMS)):
            part = pixels[start : start + SHARD_FILMS]
            write_shard(shard_path(folder, shard), iter(part), part.shape[1:], np.uint8)
        seconds = _fastest(
            {
                "bare loop, data in memory": _bare(pixels, targets, spec, chosen.batch, device),
                "camray, real loader": _ours(folder, targets, spec, chosen.batch, device, plan),
                "camray, whole step": _ours(folder, targets, spec, chosen.batch, device, whole),
            },
            chosen.passes,
            device,
        )
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    print(f"{machine}, {chosen.threads} threads; torch {torch.__version__}, MONAI {monai.__version__}")
    print(f"{spec.backbone}, stride {spec.stride}, {chosen.side} x {chosen.side} px, batch {chosen.batch}")
    images, bare = plan.steps_per_epoch * min(chosen.batch, chosen.films), seconds["bare loop, data in memory"]
    for name, (clock, cpu) in seconds.items():
        ratios = f"{bare[0] / clock:6.3f} of the bare loop by the clock, {bare[1] / cpu:6.3f} by CPU seconds"
        print(f"{name:28s} {images / clock:9.1f} images/s {ratios}")
    reached = bare[0] / seconds["camray, real loader"][0]
    print(f"goal {GOAL}: {'reached' if reached >= GOAL else 'missed'}")
    return 0 if reached >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
