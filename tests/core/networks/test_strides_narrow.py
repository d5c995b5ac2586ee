"""Narrow networks on several threads: oneDNN corrupts the heap in a layer that they must not use.

They run in a process of their own, since a corrupted heap ends it.
"""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from camray.core.networks.backbones import build_backbone
from camray.core.networks.strides import ONEDNN_SAFE_CHANNELS, OddConv2d, SubsampledConv2d, odd, subsampled
from camray.domain.contract import NetworkSpec

TRAIN = """
import torch
from torch import nn
from camray.core.networks.classifier import build_classifier
from camray.domain.contract import NetworkSpec

torch.set_num_threads(2)
for widths, stride, aligned in ((4, 4, 4, 4), 16, True), ((2, 3, 5, 15), 32, True), ((15, 12, 15, 8), 16, False):
    spec = NetworkSpec(stride=stride, widths=widths, aligned=aligned)
    model = build_classifier(spec, 2, seed=4).to(memory_format=torch.channels_last).train()
    films = torch.rand(9, 1, 96, 96).contiguous(memory_format=torch.channels_last)
    for _ in range(6):
        model(films).sum().backward()
"""
CONVOLVE = """
import sys
import torch

torch.set_num_threads(2)
conv = torch.nn.Conv2d(int(sys.argv[1]), int(sys.argv[2]), 1, 2, bias=False).to(memory_format=torch.channels_last)
for _ in range(20):
    maps = torch.randn(9, int(sys.argv[1]), 24, 24).contiguous(memory_format=torch.channels_last).requires_grad_()
    conv(maps).sum().backward()
"""


def exit_code(script: str, *arguments: object) -> int:
    """Run a script with a heap that is checked."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "MALLOC_CHECK_": "3"}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False).returncode


@pytest.mark.slow
def test_narrow_networks_train_on_two_threads() -> None:
    assert exit_code(TRAIN) == 0


def test_the_bound_is_safe() -> None:
    # one channel less ends the process on CPUs with AVX-512
    assert exit_code(CONVOLVE, ONEDNN_SAFE_CHANNELS, 4) == 0


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_no_narrow_network_has_an_unsafe_layer(stride: int, aligned: bool) -> None:
    for backbone in ("resnet_light", "resnet18", "efficientnet_b0"):
        widths = (15, 8, 2, 4)
        network, _ = build_backbone(NetworkSpec(backbone=backbone, stride=stride, widths=widths, aligned=aligned), 1)
        strided = [m for m in network.modules() if isinstance(m, nn.Conv2d) and max(m.stride) > 1]
        narrow = [m for m in strided if m.kernel_size == (1, 1) and m.in_channels < ONEDNN_SAFE_CHANNELS]
        assert all(isinstance(m, OddConv2d | SubsampledConv2d) for m in narrow)
        assert bool(narrow) == (backbone == "resnet_light")


def test_the_safe_twins_compute_the_same_values_and_gradients() -> None:
    torch.manual_seed(1)
    maps = torch.randn(2, 5, 7, 9, dtype=torch.float64, requires_grad=True)
    plain = nn.Conv2d(5, 3, 1, 2, dtype=torch.float64)
    twin = subsampled(plain)
    assert isinstance(twin, SubsampledConv2d)
    torch.testing.assert_close(twin(maps), plain(maps))
    gradients = [torch.autograd.grad(conv(maps).square().sum(), [maps, plain.weight]) for conv in (plain, twin)]
    torch.testing.assert_close(gradients[0], gradients[1])
    even = maps[:, :, :6, :8]
    torch.testing.assert_close(odd(plain)(even), plain(even[:, :, 1:, 1:]))
    wide = nn.Conv2d(ONEDNN_SAFE_CHANNELS, 3, 1, 2)
    assert subsampled(wide) is wide
