"""All that two latencies must share to stand in one ranking."""

import torch
from pydantic import Field

from segsearch.frozen import Frozen
from segsearch.measure.backends.table import find_backend
from segsearch.measure.conditions import Conditions, check_threads
from segsearch.measure.machine import device_name, find_device, software
from segsearch.measure.timer import TimerSettings

VERSION = 4
"""Raised when what is timed changes, so that old measurements are not mixed with new ones."""


class MeasuringProtocol(Frozen):
    """One size, device, software and way of timing; `settle` makes it out of what a person asks for."""

    version: int = VERSION
    size_hw: tuple[int, int]
    classes: int = Field(ge=2, le=256)
    device: str
    """``cpu``, ``cuda`` or ``cuda:N``, as it is asked for."""
    device_name: str
    """The device by its maker's name."""
    backend: str
    backend_version: str
    torch: str
    driver: str | None
    precision: str
    threads: int
    """Of the processor."""
    timer: TimerSettings
    processes: int | None
    """New processes that each network is timed in; None is the process that asks."""

    @property
    def conditions(self) -> Conditions:
        """Give what to measure under."""
        return Conditions(
            device=self.device,
            backend=self.backend,
            precision=self.precision,
            threads=self.threads,
            timer=self.timer,
        )

    @property
    def words(self) -> str:
        """Name for files: ``512x1024-cpu-onnxruntime-float32-2threads-1a2b3c4d``."""
        height, width = self.size_hw
        device = self.device.replace(":", "")
        threads = f"{self.threads}thread{'s' if self.threads > 1 else ''}"
        return f"{height}x{width}-{device}-{self.backend}-{self.precision}-{threads}-{self.id[:8]}"

    def __str__(self) -> str:
        """Write for people: ``onnxruntime 1.31.1, float32, 512x1024, NAME, 2 threads``."""
        height, width = self.size_hw
        threads = f", {self.threads} thread{'s' if self.threads > 1 else ''}" if self.device == "cpu" else ""
        return f"{self.backend} {self.backend_version}, {self.precision}, {height}x{width}, {self.device_name}{threads}"


def settle(
    size_hw: tuple[int, int],
    *,
    device: str = "cpu",
    backend: str = "eager",
    precision: str | None = None,
    threads: int | None = None,
    classes: int = 19,
    timer: TimerSettings | None = None,
    processes: int | None = None,
) -> MeasuringProtocol:
    """Fill in what is not said: float32 where the backend has it, torch's number of threads, the timer's defaults.

    Raises:
        InputError: an unknown device, backend, precision or number of threads.
        DeviceError: the device is not here, or the backend does not run on it so.
        MissingExtraError: the backend is not installed.
    """
    where = find_device(device)
    runner = find_backend(backend, where.type, precision)
    check_threads(threads)
    around, plain = software(where), "float32" if "float32" in runner.precisions else runner.precisions[0]
    return MeasuringProtocol(
        size_hw=size_hw,
        classes=classes,
        device=device,
        device_name=device_name(where),
        backend=backend,
        backend_version=runner.version(),
        torch=around.torch,
        driver=around.driver,
        precision=precision or plain,
        threads=threads or torch.get_num_threads(),
        timer=(timer or TimerSettings()).on(where.type),
        processes=processes,
    )
