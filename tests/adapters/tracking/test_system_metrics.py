"""Load of the machine: MLflow's names and units, samples in order, and nothing without psutil."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from camray.adapters.tracking import system_metrics
from camray.adapters.tracking.system_metrics import SystemMetrics

MIB = 2**20
PSUTIL = SimpleNamespace(
    cpu_percent=lambda: 25.0,
    virtual_memory=lambda: SimpleNamespace(used=3 * MIB, percent=30.0),
    disk_usage=lambda _path: SimpleNamespace(percent=40.0, free=5 * MIB),
    net_io_counters=lambda: SimpleNamespace(bytes_recv=6 * MIB, bytes_sent=7 * MIB),
)
PYNVML = SimpleNamespace(
    NVMLError=RuntimeError,
    nvmlInit=lambda: None,
    nvmlDeviceGetCount=lambda: 1,
    nvmlDeviceGetHandleByIndex=lambda number: number,
    nvmlDeviceGetMemoryInfo=lambda _gpu: SimpleNamespace(used=2 * MIB, total=8 * MIB),
    nvmlDeviceGetUtilizationRates=lambda _gpu: SimpleNamespace(gpu=90),
)


def _installed(monkeypatch: pytest.MonkeyPatch, **modules: object) -> None:
    monkeypatch.setattr(system_metrics, "_module", modules.get)


def test_figures_have_mlflows_names_and_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, psutil=PSUTIL, pynvml=PYNVML)
    assert SystemMetrics(tmp_path).figures() == {
        "system/cpu_utilization_percentage": 25.0,
        "system/system_memory_usage_megabytes": 3.0,
        "system/system_memory_usage_percentage": 30.0,
        "system/disk_usage_percentage": 40.0,
        "system/disk_available_megabytes": 5.0,
        "system/network_receive_megabytes": 6.0,
        "system/network_transmit_megabytes": 7.0,
        "system/gpu_0_memory_usage_megabytes": 2.0,
        "system/gpu_0_memory_usage_percentage": 25.0,
        "system/gpu_0_utilization_percentage": 90.0,
    }


def test_samples_are_taken_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, psutil=PSUTIL)
    monkeypatch.setattr(system_metrics, "FIRST_SECONDS", 0.01)
    system = SystemMetrics(tmp_path)
    system.start()
    until = time.monotonic() + 10
    while len(system._samples) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    system.stop()
    samples = system.taken()
    assert [sample.step for sample in samples] == list(range(len(samples)))
    assert len(samples) >= 2
    assert system.taken() == []


def test_without_psutil_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch)
    system = SystemMetrics(tmp_path)
    system.start()
    assert system._thread is None
    system.stop()
    assert system.taken() == []
