"""Two processes that train together: the loss they report is that of all films."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing

from camray.core.networks.classifier import build_classifier
from camray.core.training.augmentation import Augmentation
from camray.core.training.batches import Batch, grey_tensor
from camray.core.training.losses import masked_bce_sums
from camray.core.training.trainer import Processes, Trainer
from camray.domain.contract import NetworkSpec
from tests.core.training.test_trainer import PLAN

SPEC = NetworkSpec(stride=8, widths=(16, 16, 16, 16), stem_kernel=3)
ONE_STEP = replace(
    PLAN, epochs=1, steps_per_epoch=1, learning_rate=1e-12, ema_decay=0, augmentation=Augmentation(flip=0)
)
POSITIVE, LABEL = np.array([3.0, 1.0], np.float32), np.array([1.0, 2.0], np.float32)


def share_of(rank: int) -> Batch:
    """Give the processes films of other brightness, and the second one half of the labels unknown."""
    generator = np.random.default_rng(rank)
    pixels = generator.integers(0, 120 + 130 * rank, (4, 48, 32)).astype(np.uint8)
    targets = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.float32)
    if rank:
        targets[:, 1] = np.nan
        targets[:, 0] = 1
    return Batch(torch.from_numpy(pixels), torch.from_numpy(targets))


def train_share(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=120))
    try:
        model = build_classifier(SPEC, 2, seed=4)
        trainer = Trainer(model, ONE_STEP, POSITIVE, LABEL, torch.device("cpu"), Processes(rank, 2))
        report = trainer.run_epoch([share_of(rank)], [share_of(rank)], lambda: 0.0)
        Path(folder, f"{rank}.json").write_text(json.dumps({"loss": report.loss, "auroc": report.mean_auroc}))
    finally:
        dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_reported_loss_is_that_of_the_films_of_all_processes(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(train_share, args=(str(tmp_path),), nprocs=2)
    reports = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert reports[0] == reports[1]
    entropies, known = [], []
    for rank in range(2):  # batch normalisation is per process
        share, model = share_of(rank), build_classifier(SPEC, 2, seed=4).train()
        films = grey_tensor(share.pixels, torch.device("cpu"))
        sums = masked_bce_sums(model(films), share.targets, torch.from_numpy(POSITIVE), torch.from_numpy(LABEL), 0.0)
        entropies.append(float(sums[0].detach()))
        known.append(float(sums[1]))
    assert reports[0]["loss"] == pytest.approx(sum(entropies) / sum(known), rel=1e-5)
    of_first_alone = entropies[0] / (sum(known) / 2)
    assert abs(reports[0]["loss"] - of_first_alone) > 0.05
