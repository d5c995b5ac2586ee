"""Time of explanation maps, beside the forward pass that they come from and beside other libraries.

Run: ``python -m benchmarks.maps forward [--labels 14] [--batch 8] [--side 224] [--rounds 15] [--pools gap pcam]``
     ``python -m benchmarks.maps peers [--batch 1 8 32] [--side 224] [--rounds 3]``
     ``python -m benchmarks.maps hidden [--labels 1] [--side 96] [--rounds 3] [--at-once 16] [--patch 16]``

``forward``  the network's forward pass alone, with all labels' CAM, with all labels' CAM and Grad-CAM.
             Goal: at most 1.10 x the forward pass for 14 labels.
``peers``    all labels' CAM or Grad-CAM of DenseNet121 against captum, MONAI and pytorch-grad-cam.
             Goal: at least 10 x faster than the fastest of them.
``hidden``   Score-CAM and occlusion of ResNet18 against captum, MONAI and pytorch-grad-cam, with the same masks or
             patches and the same number of films per forward pass. Goal: not slower.

Everything is timed in turns in one process, on the same films. A ratio is the median over rounds of the ratio of that
round's two times, so that a machine whose speed changes does not disturb it. Each library's row has the largest
difference of its maps from camray's, relative to the largest value, to show that both did the same work. Libraries that
are not installed are left out. An environment with all of them, next to the project's own: ``.venv/bin/python -m venv
extra``, a line with the path of .venv's site-packages in ``extra/lib/python3.11/site-packages/camray.pth``, then
``extra/bin/pip install --no-deps captum==0.9.0 grad-cam==1.5.7 ttach torchvision==0.28.0`` and ``extra/bin/pip install
opencv-python-headless tqdm``; torch stays 2.13.0.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from benchmarks import maps_peers as peers
from camray.core.explain.methods import methods_named
from camray.core.explain.perturbation import Patch, occlusion, scorecam
from camray.core.explain.test_time_averaging import explain, feature_grid
from camray.core.networks.classifier import PooledClassifier, build_classifier
from camray.domain.contract import POOLS, NetworkSpec

LIMIT, WANTED = 1.10, 10.0
Tasks = Mapping[str, Callable[[], object]]


def timed(tasks: Tasks, rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Time every task once a round, in turns, seconds; a round before the first only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds + 1):
        for name, task in tasks.items():
            _wait(device)
            started = time.perf_counter()
            task()
            _wait(device)
            seconds[name].append(time.perf_counter() - started)
    return {name: values[1:] for name, values in seconds.items()}


def ratio(values: list[float], first: list[float]) -> float:
    """Return the median over rounds of one task's time by another's."""
    return statistics.median(value / base for value, base in zip(values, first, strict=True))


def network_of(backbone: str, pool: str, labels: int, device: torch.device) -> PooledClassifier:
    """Build a network with weights of its own for every label, ready to be explained."""
    spec = NetworkSpec(backbone=backbone, pool=pool, stride=32)
    network = build_classifier(spec, labels, seed=0).eval().requires_grad_(False)
    with torch.no_grad():
        network.classifier.weight.mul_(20)
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def films_of(asked: argparse.Namespace, batch: int, device: torch.device) -> Tensor:
    """Draw films [B, 1, side, side]."""
    films = torch.rand(batch, 1, asked.side, asked.side, generator=torch.Generator().manual_seed(0))
    return films.to(device).contiguous(memory_format=torch.channels_last)


def beside_forward(asked: argparse.Namespace, batch: int, device: torch.device) -> None:
    """Print what maps add to the forward pass, pool by pool."""
    films = films_of(asked, batch, device)
    for pool in asked.pools:
        seconds = timed(
            _forward_tasks(network_of("densenet121", pool, asked.labels, device), films), asked.rounds, device
        )
        for name, values in seconds.items():
            times = ratio(values, seconds["forward"])
            verdict = "" if name == "forward" else f"  {'within' if times <= LIMIT else 'ABOVE'} {LIMIT:.2f}"
            print(f"{pool:8} batch {batch:2} {name:16} {_rate(values, batch)} x{times:.3f}{verdict}", flush=True)


def _forward_tasks(network: PooledClassifier, films: Tensor) -> Tasks:
    grid, cam, both = feature_grid(network, films), methods_named(("cam",)), methods_named(("cam", "gradcam"))

    def forward() -> Tensor:
        with torch.no_grad():
            logits: Tensor = network(films)
            return logits

    return {
        "forward": forward,
        "cam": lambda: explain(network, films, cam, grid),
        "cam and gradcam": lambda: explain(network, films, both, grid),
    }


def beside_peers(asked: argparse.Namespace, batch: int, device: torch.device) -> None:
    """Print all labels' CAM and Grad-CAM beside what other libraries take for them."""
    labels = range(asked.labels)
    network, films = network_of("densenet121", "gap", asked.labels, device), films_of(asked, batch, device)
    # what is differentiated needlessly would only slow the others down: their graph starts at the last layer
    network.backbone.get_submodule("features.norm5").requires_grad_(True)
    grid, cam, gradcam = feature_grid(network, films), methods_named(("cam",)), methods_named(("gradcam",))
    tasks: dict[str, Callable[[], Tensor]] = {
        "camray cam": lambda: explain(network, films, cam, grid).heat["cam"],
        "camray gradcam": lambda: explain(network, films, gradcam, grid).heat["gradcam"],
        "monai cam": peers.monai_cam(network, films, labels),
        "monai gradcam": peers.monai_gradcam(network, films, labels),
    }
    if peers.installed("captum"):
        tasks["captum gradcam"] = peers.captum_gradcam(network, films, labels)
    if peers.installed("pytorch_grad_cam"):
        tasks["grad-cam gradcam"] = peers.grad_cam_library("GradCAM", network, films, labels)
    _report(tasks, asked, batch, device, WANTED)


def beside_hiding(asked: argparse.Namespace, batch: int, device: torch.device) -> None:
    """Print Score-CAM and occlusion beside other libraries, for one label (or as many as asked)."""
    labels, at_once, patch = range(asked.labels), asked.at_once, asked.patch
    network, films = network_of("resnet18", "gap", asked.labels, device), films_of(asked, batch, device)
    with torch.no_grad():
        features = network.features(films)
    tasks: dict[str, Callable[[], Tensor]] = {
        "camray occlusion": lambda: occlusion(network, films, Patch(patch, patch, fill=0.0), batch_size=at_once),
        "monai occlusion": peers.monai_occlusion(network, films, patch, at_once),
    }
    if peers.installed("captum"):
        tasks["captum occlusion"] = peers.captum_occlusion(network, films, labels, patch, at_once)
    _report(tasks, asked, batch, device, 1.0)
    if peers.installed("pytorch_grad_cam"):
        tasks = {
            "camray scorecam": lambda: scorecam(network, films, features, batch_size=at_once),
            "grad-cam scorecam": peers.grad_cam_library("ScoreCAM", network, films, labels, at_once),
        }
        _report(tasks, asked, batch, device, 1.0)
    print(f"patches of {patch} px side by side, black; {features.shape[1]} masks; {at_once} films a pass")


def _report(
    tasks: Mapping[str, Callable[[], Tensor]],
    asked: argparse.Namespace,
    batch: int,
    device: torch.device,
    wanted: float,
) -> None:
    """Time the tasks in turns; print each peer by the task of ours that gives the same maps."""
    maps = {name: task().float().cpu() for name, task in tasks.items()}
    seconds = timed(tasks, asked.rounds, device)
    for name, values in seconds.items():
        library, method = name.split()
        line = f"batch {batch:2} {name:18} {_rate(values, batch)}"
        if library != "camray":
            ours, theirs = maps[f"camray {method}"], maps[name]
            if library == "grad-cam":
                ours = peers.rescaled(ours, (theirs.shape[-2], theirs.shape[-1]))
            apart = float((ours - theirs).abs().max() / theirs.abs().max())
            times = ratio(values, seconds[f"camray {method}"])
            line += f" x{times:7.2f}  apart {apart:.0e}  {'at least' if times >= wanted else 'BELOW'} {wanted:g}"
        print(line, flush=True)


def _rate(values: list[float], batch: int) -> str:
    median = statistics.median(values)
    return f"{1000 * median:9.1f} ms {batch / median:8.2f} films/s"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Print machine, versions and one line for each task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    works = {"forward": beside_forward, "peers": beside_peers, "hidden": beside_hiding}
    parser.add_argument("what", choices=tuple(works), nargs="?", default="forward")
    for name, default in (("labels", 14), ("side", 224), ("rounds", 15), ("at-once", 16), ("patch", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--batch", type=int, nargs="+", default=[8])
    parser.add_argument("--pools", nargs="+", choices=POOLS, default=list(POOLS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    print(f"{device.type}: {name}, {torch.get_num_threads()} threads; torch {torch.__version__}, {platform.platform()}")
    print(f"{asked.what}: {asked.labels} labels, {asked.side} px, {asked.rounds} rounds in turns", flush=True)
    for batch in asked.batch:
        works[asked.what](asked, batch, device)


if __name__ == "__main__":
    main()
