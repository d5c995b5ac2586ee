"""Which device, which precision."""

import pytest
import torch

from camray.core.training.device import autocast_dtype, choose_device
from camray.domain.errors import SettingsError


def test_cpu_is_always_there_and_computes_in_float32() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert autocast_dtype(torch.device("cpu"), enabled=True) is None


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto", 1) == torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(SettingsError, match="finds no CUDA device"):
        choose_device("cuda")


def test_another_name_is_refused() -> None:
    with pytest.raises(SettingsError, match="expected auto, cpu or cuda"):
        choose_device("tpu")
