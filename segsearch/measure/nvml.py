"""What the driver of a GPU tells of it, through NVML where that is installed; nothing is ever set."""

import os
from dataclasses import dataclass
from typing import Any, Self

import torch

from segsearch.frozen import Frozen

REASONS = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal",
    0x40: "hardware thermal",
    0x80: "power brake",
    0x100: "display clocks",
}
"""Bits of ``nvmlClocksEventReasons``; "idle" is said of a GPU without work."""
HARMLESS = ("idle", "application clocks", "display clocks")


class GpuState(Frozen):
    """One look at a GPU; None is what its driver does not tell."""

    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    slowed_by: tuple[str, ...] = ()
    """Why the clock is not at its highest."""


class GpuLog(Frozen):
    """The GPU before and after a measurement."""

    before: GpuState
    after: GpuState

    @property
    def throttled(self) -> tuple[str, ...]:
        """What slowed the GPU down, other than a setting or having nothing to do."""
        seen = dict.fromkeys((*self.before.slowed_by, *self.after.slowed_by))
        return tuple(reason for reason in seen if reason not in HARMLESS)


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU as NVML knows it."""

    nvml: Any
    handle: Any

    @classmethod
    def find(cls, device: torch.device) -> Self | None:
        """Find the GPU behind a torch device; None for a processor, or where NVML is not there or does not know it."""
        if device.type != "cuda":
            return None
        return cls.by_uuid(str(torch.cuda.get_device_properties(device).uuid))

    @classmethod
    def by_uuid(cls, uuid: str) -> Self | None:
        """Find a GPU by its number: torch counts what is visible, NVML what is built in."""
        try:
            import pynvml
        except ImportError:
            return None
        try:
            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}")
        except pynvml.NVMLError:
            return None
        return cls(nvml=pynvml, handle=handle)

    def state(self) -> GpuState:
        """Look once."""
        nvml = self.nvml
        milliwatts = self._ask("nvmlDeviceGetPowerUsage"), self._ask("nvmlDeviceGetEnforcedPowerLimit")
        power_w, power_limit_w = (None if value is None else value / 1000 for value in milliwatts)
        bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
        return GpuState(
            sm_clock_mhz=self._ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
            memory_clock_mhz=self._ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
            temperature_c=self._ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
            power_w=power_w,
            power_limit_w=power_limit_w,
            slowed_by=tuple(word for bit, word in REASONS.items() if bits & bit),
        )

    def other_processes(self) -> int | None:
        """Count processes with work on this GPU, without this one.

        In a container ours goes by a number that it does not know itself: one unknown is then taken to be ours.
        """
        running = self._ask("nvmlDeviceGetComputeRunningProcesses")
        if running is None:
            return None
        others = [process.pid for process in running if process.pid != os.getpid()]
        hidden = len(others) == len(running) and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        return max(0, len(others) - hidden)

    def _ask(self, question: str, *about: object) -> Any:
        """Ask NVML; None where this driver or card has none."""
        try:
            return getattr(self.nvml, question)(self.handle, *about)
        except (self.nvml.NVMLError, AttributeError):
            return None
