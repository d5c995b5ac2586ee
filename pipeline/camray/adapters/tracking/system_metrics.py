"""Load of the machine while a run works, under MLflow's own names, so that its UI shows them on their own page.

A thread samples; the main thread writes the samples into the journal. Without psutil there are none, and without pynvml
none of GPUs: neither is a dependency of camray.
"""

import importlib
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

FIRST_SECONDS, SHARE = 10.0, 0.005  # between samples: at least, and of the time since the start
_MIB = 2**20


class Sample(NamedTuple):
    """Figures of one moment."""

    step: int
    time_ms: int
    values: dict[str, float]


class SystemMetrics:
    """Samples CPU, memory, disk, network and GPUs until `stop`; the longer a run, the rarer.

    Parameters
    ----------
    folder : Path
        The disk that holds it is watched.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._psutil, self._gpus = _module("psutil"), _gpus()
        self._samples: list[Sample] = []
        self._step, self._began = 0, time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to sample, unless psutil is missing."""
        if self._psutil is None:
            return
        self._psutil.cpu_percent()  # the first answer is of no time
        self._thread = threading.Thread(target=self._sample_on, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def taken(self) -> list[Sample]:
        """Return the samples since the last call, in order."""
        samples, self._samples = self._samples, []
        return samples

    def _sample_on(self) -> None:
        while not self._ended.wait(max(FIRST_SECONDS, SHARE * (time.monotonic() - self._began))):
            with suppress(Exception):  # a figure that the system refuses does not end a run
                self._samples.append(Sample(self._step, int(time.time() * 1000), self.figures()))
                self._step += 1

    def figures(self) -> dict[str, float]:
        """Return the figures of now, by MLflow's names: percent, MB of 2**20 bytes."""
        system, values = self._psutil, dict[str, float]()
        memory, disk, network = system.virtual_memory(), system.disk_usage(str(self._folder)), system.net_io_counters()
        values["cpu_utilization_percentage"] = system.cpu_percent()
        values["system_memory_usage_megabytes"] = memory.used / _MIB
        values["system_memory_usage_percentage"] = memory.percent
        values["disk_usage_percentage"] = disk.percent
        values["disk_available_megabytes"] = disk.free / _MIB
        if network is not None:  # a machine without any
            values["network_receive_megabytes"] = network.bytes_recv / _MIB
            values["network_transmit_megabytes"] = network.bytes_sent / _MIB
        if self._gpus is not None:
            values |= self._gpus.figures()
        return {f"system/{name}": float(value) for name, value in values.items()}


class _Gpus(NamedTuple):
    nvml: Any
    handles: list[Any]

    def figures(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for number, gpu in enumerate(self.handles):
            memory = self.nvml.nvmlDeviceGetMemoryInfo(gpu)
            values[f"gpu_{number}_memory_usage_megabytes"] = memory.used / _MIB
            values[f"gpu_{number}_memory_usage_percentage"] = 100 * memory.used / memory.total
            values[f"gpu_{number}_utilization_percentage"] = self.nvml.nvmlDeviceGetUtilizationRates(gpu).gpu
        return values


def _module(name: str) -> Any:
    with suppress(ImportError):
        return importlib.import_module(name)
    return None


def _gpus() -> _Gpus | None:
    nvml = _module("pynvml")
    if nvml is None:
        return None
    try:
        nvml.nvmlInit()
        return _Gpus(nvml, [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())])
    except nvml.NVMLError:
        return None
