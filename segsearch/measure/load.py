"""Who else was using the processor and the GPU while something was measured."""

import time
from collections.abc import Iterable
from typing import Self

import psutil
import torch

from segsearch.frozen import Frozen
from segsearch.measure.nvml import Gpu

BUSY_PERCENT = 10.0
"""From this much foreign load of the whole processor on, a latency is not to be trusted."""


class Contention(Frozen):
    """How much of the processor went to others than this process and its threads, in percent of all its cores."""

    load_average: float
    """Runnable processes over the last minute, before the measurement."""
    others_percent_before: float
    others_percent_during: float
    gpu_others: int | None = None
    """Other processes with work on the GPU, before or after; None on a CPU or where the driver does not tell."""

    @classmethod
    def most(cls, seen: Iterable[Self]) -> Self:
        """Join what was seen during several measurements: the largest of each figure."""
        looks = list(seen)
        gpu_others = [look.gpu_others for look in looks if look.gpu_others is not None]
        return cls(
            load_average=max(look.load_average for look in looks),
            others_percent_before=max(look.others_percent_before for look in looks),
            others_percent_during=max(look.others_percent_during for look in looks),
            gpu_others=max(gpu_others, default=None),
        )

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
        return " and ".join(filter(None, [gpu, processor if self.others_percent > BUSY_PERCENT or not gpu else ""]))


class LoadWatch:
    """Looks around when it is made and when `contention` is asked for."""

    def __init__(self, device: torch.device, seconds: float = 0.2) -> None:
        self.gpu = Gpu.find(device)
        self._load_average, self._before = processor_load(seconds)
        self._gpu_before = self.gpu.other_processes() if self.gpu else None
        self._processor = ProcessorWatch()

    def begin(self) -> None:
        """Start to watch the processor anew: what follows is the measurement, all before it was preparation."""
        self._processor = ProcessorWatch()

    def contention(self) -> Contention:
        """Tell what was seen until now."""
        during = self._processor.others_percent()
        counts = [self._gpu_before, self.gpu.other_processes() if self.gpu else None]
        seen = [count for count in counts if count is not None]
        return Contention(
            load_average=self._load_average,
            others_percent_before=self._before,
            others_percent_during=during,
            gpu_others=max(seen, default=None),
        )


class ProcessorWatch:
    """Tells how busy the processor was with the work of others since the watch was made."""

    def __init__(self) -> None:
        self._start = _times()

    def others_percent(self) -> float:
        """Percent of all cores used by other processes since then; 0 when no time has passed."""
        total, busy, own = (now - then for now, then in zip(_times(), self._start, strict=True))
        return min(100.0, max(0.0, 100 * (busy - own) / total)) if total > 0 else 0.0


def processor_load(seconds: float = 0.2) -> tuple[float, float]:
    """Watch the processor for a moment: load average of the last minute, and percent of all cores used by others."""
    watch = ProcessorWatch()
    time.sleep(seconds)
    return psutil.getloadavg()[0], watch.others_percent()


def _times() -> tuple[float, float, float]:
    """Seconds over all cores since the system started: all, busy (stolen ones too), and busy with this process."""
    cores, own = psutil.cpu_times(), psutil.Process().cpu_times()
    everything = (
        sum(cores) - getattr(cores, "guest", 0.0) - getattr(cores, "guest_nice", 0.0)
    )  # both are inside user and nice
    idle = cores.idle + getattr(cores, "iowait", 0.0)
    return everything, everything - idle, own.user + own.system
