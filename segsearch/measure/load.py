"""Who else used the processor and the GPU while something was measured, and what the GPU's driver tells of it.

Nothing is ever set.
"""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import psutil

from segsearch.frozen import Frozen

if TYPE_CHECKING:
    import torch

BUSY_PERCENT = 10.0
"""From this much foreign load of the whole processor on, a latency is not to be trusted."""
MOST_NAMED, LEAST_NAMED_PERCENT = 3, 1.0
"""Of the programs that were busy, these are named."""


class Contention(Frozen):
    """How much of the processor went to others than this process and its threads, in percent of all its cores."""

    load_average: float
    """Runnable processes over the last minute, before the measurement."""
    others_percent_before: float
    others_percent_during: float
    gpu_others: int | None = None
    """Other processes with work on the GPU, before or after; None on a CPU or where the driver does not tell."""
    names: tuple[str, ...] = ()
    """Who used most of the processor meanwhile, such as ``python (pid 12) 48 %``."""

    @classmethod
    def most(cls, seen: Iterable[Self]) -> Self:
        """Join what was seen during several measurements: the largest of each figure, and who that was."""
        looks = list(seen)
        most: dict[str, Any] = {"names": max(looks, key=lambda look: look.others_percent).names}
        for name in cls.model_fields.keys() - most:
            most[name] = max((v for look in looks if (v := getattr(look, name)) is not None), default=None)
        return cls(**most)

    @property
    def busy(self) -> bool:
        """Whether others took enough of the device or the processor to spoil a latency."""
        return self.others_percent > BUSY_PERCENT or bool(self.gpu_others)

    @property
    def others_percent(self) -> float:
        """The larger share of the processor that others had, before or during."""
        return max(self.others_percent_before, self.others_percent_during)

    @property
    def words(self) -> str:
        """Who was busy, for a sentence."""
        gpu = f"{self.gpu_others} other programs were on the GPU" if self.gpu_others else ""
        processor = f"other programs used {self.others_percent:.0f} % of the processor"
        processor += f": {', '.join(self.names)}" if self.names else ""
        return " and ".join(filter(None, [gpu, processor if self.others_percent > BUSY_PERCENT or not gpu else ""]))


class LoadWatch:
    """Looks around for ``seconds`` when it is made, and again when `contention` is asked for."""

    def __init__(self, device: "torch.device", seconds: float = 0.2) -> None:
        self.gpu = Gpu.find(device)
        self._load_average = psutil.getloadavg()[0]
        self._gpu_before = self.gpu.other_processes() if self.gpu else None
        start = _times()
        time.sleep(seconds)
        self._before = _others_percent(start)
        self.begin()

    def begin(self) -> None:
        """Start to watch the processor anew: what follows is the measurement, all before it was preparation."""
        self._programs, self._start = _programs(), _times()

    def contention(self) -> Contention:
        """Tell what was seen until now."""
        during = _others_percent(self._start)
        counts = [self._gpu_before, self.gpu.other_processes() if self.gpu else None]
        seen = [count for count in counts if count is not None]
        return Contention(
            load_average=self._load_average,
            others_percent_before=self._before,
            others_percent_during=during,
            gpu_others=max(seen, default=None),
            names=self._names() if max(self._before, during) > BUSY_PERCENT else (),
        )

    def _names(self) -> tuple[str, ...]:
        """Programs by what they used since `begin`, the busiest first, in percent of all cores."""
        total = max(_times().everything - self._start.everything, 1e-9)
        used = {name: 100 * (now - self._programs.get(name, 0.0)) / total for name, now in _programs().items()}
        busiest = sorted(used, key=lambda name: -used[name])[:MOST_NAMED]
        return tuple(f"{name} {used[name]:.0f} %" for name in busiest if used[name] >= LEAST_NAMED_PERCENT)


@dataclass(frozen=True)
class _Times:
    """Seconds over all cores since the system started."""

    everything: float
    busy: float
    """Stolen ones too."""
    own: float
    stolen: float


def _times() -> _Times:
    cores, own = psutil.cpu_times(), psutil.Process().cpu_times()
    guests = getattr(cores, "guest", 0.0) + getattr(cores, "guest_nice", 0.0)  # both are inside user and nice
    everything, idle = sum(cores) - guests, cores.idle + getattr(cores, "iowait", 0.0)
    return _Times(everything, everything - idle, own.user + own.system, getattr(cores, "steal", 0.0))


def _others_percent(start: _Times) -> float:
    """Percent of all cores used by other processes since then; 0 when no time has passed."""
    now = _times()
    total = now.everything - start.everything
    others = now.busy - start.busy - (now.own - start.own)
    return min(100.0, max(0.0, 100 * others / total)) if total > 0 else 0.0


def _programs() -> dict[str, float]:
    """Seconds of the processor that each other process has used, by name; and that other virtual machines took."""
    found = {"other virtual machines": _times().stolen}
    for process in psutil.process_iter(["name", "cpu_times"]):
        used = process.info["cpu_times"]
        if process.pid != os.getpid() and used is not None:
            found[f"{process.info['name']} (pid {process.pid})"] = used.user + used.system
    return found


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

    @classmethod
    def joined(cls, logs: "Sequence[GpuLog]") -> Self | None:
        """Join those of several processes, one after another: all that slowed the GPU down; None for none."""
        if not logs:
            return None
        seen = dict.fromkeys(reason for log in logs for state in (log.before, log.after) for reason in state.slowed_by)
        return cls(before=logs[0].before, after=logs[-1].after.model_copy(update={"slowed_by": tuple(seen)}))

    @property
    def throttled(self) -> tuple[str, ...]:
        """What slowed the GPU down, other than a setting or having nothing to do."""
        seen = dict.fromkeys((*self.before.slowed_by, *self.after.slowed_by))
        return tuple(reason for reason in seen if reason not in HARMLESS)


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU as NVML, its driver's library, knows it."""

    nvml: Any
    handle: Any

    @classmethod
    def find(cls, device: "torch.device") -> Self | None:
        """Find the GPU behind a torch device; None for a processor, or where NVML is not there or does not know it."""
        if device.type != "cuda":
            return None
        import torch

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
        import torch

        others = [process.pid for process in running if process.pid != os.getpid()]
        hidden = len(others) == len(running) and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        return max(0, len(others) - hidden)

    def _ask(self, question: str, *about: object) -> Any:
        """Ask NVML; None where this driver or card has none."""
        try:
            return getattr(self.nvml, question)(self.handle, *about)
        except (self.nvml.NVMLError, AttributeError):
            return None
