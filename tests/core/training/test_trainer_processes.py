"""Two processes that train together: the loss they report is that of all films."""

import json
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from camray.core.networks.chest_region import Chest
from camray.core.networks.classifier import build_classifier
from camray.core.training.augmentation import Augmentation
from camray.core.training.batches import Batch, grey_tensor
from camray.core.training.losses import masked_bce_sums
from camray.core.training.outside_penalty import OutsidePenaltyTrainer, outside_evidence
from camray.core.training.trainer import Processes, Trainer
from camray.domain.contract import NetworkSpec
from camray.domain.geometry import GridTransform
from tests.core.training.test_trainer import PLAN

pytestmark = pytest.mark.slow

SPEC = NetworkSpec(stride=8, widths=(16, 16, 16, 16), stem_kernel=3)
ONE_STEP = replace(
    PLAN, epochs=1, steps_per_epoch=1, learning_rate=1e-12, ema_decay=0, augmentation=Augmentation(flip=0)
)
PENALTY = 3.0
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


def chests_of(films: torch.Tensor) -> list[Chest]:
    """Give chests to all films but the second, or to the first alone where films are bright."""
    mask = np.zeros((48, 32), np.bool_)
    mask[:, :16] = True
    seen = (True, False, True, True) if films.mean() < 0.4 else (True, False, False, False)
    return [Chest(mask if has else None, GridTransform(1.0, 1.0, 0.0, 0.0), (48, 32)) for has in seen]


def train_shares(rank: int, folder: str) -> None:
    """Train once without and once with the penalty, so that the other process starts once."""
    store = dist.FileStore(f"{folder}/store", 2)
    torch.set_num_threads(1)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=120))
    try:
        reports = [_report(rank, penalty) for penalty in (0.0, PENALTY)]
        Path(folder, f"{rank}.json").write_text(json.dumps(reports))
    finally:
        dist.destroy_process_group()


def _report(rank: int, penalty: float) -> dict[str, float]:
    model = build_classifier(SPEC, 2, seed=4)
    cpu, plan = torch.device("cpu"), replace(ONE_STEP, outside_penalty=penalty)
    trainer = Trainer(model, plan, POSITIVE, LABEL, cpu, Processes(rank, 2))
    if penalty:
        trainer = OutsidePenaltyTrainer(model, plan, (POSITIVE, LABEL), cpu, Processes(rank, 2), chests_of)
    report = trainer.run_epoch([share_of(rank)], [share_of(rank)], lambda: 0.0)
    return {"loss": report.loss, "auroc": report.mean_auroc}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, float]]]:
    """What each process reports, without and with the penalty; this process is the first."""
    folder, threads = tmp_path_factory.mktemp("processes"), torch.get_num_threads()
    other = get_context("spawn").Process(target=train_shares, args=(1, str(folder)))
    other.start()
    try:
        train_shares(0, str(folder))
    finally:
        torch.set_num_threads(threads)
        other.join()
    assert other.exitcode == 0
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_the_reported_loss_is_that_of_the_films_of_all_processes(reports: list[list[dict[str, float]]]) -> None:
    assert reports[0] == reports[1]
    loss, entropies, known = reports[0][0]["loss"], [], []
    for rank in range(2):  # batch normalisation is per process
        share, model = share_of(rank), build_classifier(SPEC, 2, seed=4).train()
        films = grey_tensor(share.pixels, torch.device("cpu"))
        sums = masked_bce_sums(model(films), share.targets, torch.from_numpy(POSITIVE), torch.from_numpy(LABEL), 0.0)
        entropies.append(float(sums[0].detach()))
        known.append(float(sums[1]))
    assert loss == pytest.approx(sum(entropies) / sum(known), rel=1e-5)
    of_first_alone = entropies[0] / (sum(known) / 2)
    assert abs(loss - of_first_alone) > 0.05


def test_the_penalty_is_the_mean_over_the_cells_of_all_processes(reports: list[list[dict[str, float]]]) -> None:
    plain, penalized = (report["loss"] for report in reports[0])
    sums = []
    for rank in range(2):
        films, model = (
            grey_tensor(share_of(rank).pixels, torch.device("cpu")),
            build_classifier(SPEC, 2, seed=4).train(),
        )
        model.dropout.p = 0.0
        maps = model.cam(model.features(films)).detach()
        inside = [chest.inside((maps.shape[-2], maps.shape[-1])) for chest in chests_of(films)]
        sums.append([float(each) for each in outside_evidence(maps, inside)])
    (first, n_first), (second, n_second) = sums
    assert n_first == 3 * n_second > 0
    mean = (first + second) / (n_first + n_second)
    assert penalized - plain == pytest.approx(PENALTY * mean, rel=1e-3, abs=1e-5)
    assert mean > 1e-3
