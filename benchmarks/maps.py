"""What all labels' maps cost beside the forward pass that they come from.

Run: ``python -m benchmarks.maps [--labels 14] [--batch 8] [--side 224] [--rounds 15] [--pools gap pcam]``

Three things are timed in turns in one process, on the same films: the network's forward pass alone, with all labels'
CAM, and with all labels' CAM and Grad-CAM. Medians and their ratios are printed with the machine and the versions.
Design, section 7: at most 1.10 x the forward pass for 14 labels.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch

from pipeline.core.maps.averaging import explain, feature_grid
from pipeline.core.maps.methods import methods_named
from pipeline.core.networks.classifier import build_classifier
from pipeline.domain.contract import POOLS, NetworkSpec

LIMIT = 1.10


def timed(tasks: dict[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Time every task once a round, in turns, seconds; the first round only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds + 1):
        for name, task in tasks.items():
            _wait(device)
            started = time.perf_counter()
            task()
            _wait(device)
            seconds[name].append(time.perf_counter() - started)
    return {name: values[1:] for name, values in seconds.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def overhead(pool: str, asked: argparse.Namespace, device: torch.device) -> dict[str, list[float]]:
    """Time one pool's forward pass and maps."""
    spec = NetworkSpec(backbone="densenet121", pool=pool, stride=32)
    network = build_classifier(spec, asked.labels, seed=0).eval().requires_grad_(False)
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    films = torch.rand(asked.batch, 1, asked.side, asked.side, device=device)
    films = films.contiguous(memory_format=torch.channels_last)
    grid = feature_grid(network, films)
    cam, both = methods_named(("cam",)), methods_named(("cam", "gradcam"))

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return network(films)

    return timed(
        {
            "forward": forward,
            "cam": lambda: explain(network, films, cam, grid),
            "cam and gradcam": lambda: explain(network, films, both, grid),
        },
        asked.rounds,
        device,
    )


def main() -> None:
    """Print one line for each pool and task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("labels", 14), ("batch", 8), ("side", 224), ("rounds", 15)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--pools", nargs="+", choices=POOLS, default=list(POOLS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    print(f"{device.type}: {name}, {torch.get_num_threads()} threads; torch {torch.__version__}, {platform.platform()}")
    print(f"densenet121, {asked.labels} labels, batch {asked.batch}, {asked.side} px, {asked.rounds} rounds in turns")
    for pool in asked.pools:
        seconds = overhead(pool, asked, device)
        for task, values in seconds.items():
            # the ratio of each round's neighbours, so that a machine that changes its pace does not count
            ratio = statistics.median(value / first for value, first in zip(values, seconds["forward"], strict=True))
            median = statistics.median(values)
            verdict = "" if task == "forward" else f"  {'within' if ratio <= LIMIT else 'ABOVE'} {LIMIT:.2f}"
            print(
                f"{pool:8} {task:16} {1000 * median:9.1f} ms {asked.batch / median:8.1f} films/s x{ratio:.3f}{verdict}"
            )


if __name__ == "__main__":
    main()
