"""One latency, and all that has to be known to believe or repeat it."""

from pydantic import Field

from segsearch.frozen import Frozen
from segsearch.measure.host import HostLatency
from segsearch.measure.load import Contention
from segsearch.measure.machine import Software
from segsearch.measure.nvml import GpuLog
from segsearch.measure.timer import TimerSettings, moved_words, quantile


class LatencyRecord(Frozen):
    """Latency of one network under one backend on one device; two records compare only where all of that agrees.

    ``model_dump(mode="json")`` and ``LatencyRecord.parse`` are exact inverses. Fields with a default are younger than
    the first records.
    """

    label: str
    spec_id: str = ""
    """Id of the network's spec, where it was given."""
    size_hw: tuple[int, int]
    batch: int
    precision: str
    """Number format that was asked for, or else the types of the weights, such as ``float32``."""
    layout: str
    """``contiguous`` or ``channels_last``, as torch had it; a backend may rearrange."""
    backend: str
    backend_version: str
    facts: dict[str, str] = Field(default={})
    """What else the backend says of how it runs the network."""
    device: str
    """The device by its maker's name."""
    device_kind: str
    """``cpu`` or ``cuda``."""
    machine: str | None = None
    """Name of the machine, where it was another one than that which asked."""
    threads: int
    """Threads of the processor that torch and the backend used inside one operation."""
    processors: tuple[int, ...] | None = None
    """Those that network and reference were held to, by number; None where they went where the system put them."""
    median_ms: float = Field(gt=0)
    p10_ms: float
    p90_ms: float
    samples_ms: tuple[float, ...] = Field(min_length=1)
    """In the order they were taken."""
    warmup_calls: int
    warmup_settled: bool
    reference_ms: float | None = None
    """Latency of the reference network between the samples; None in records from before there was one."""
    reference_drift: float | None = None
    """Largest fraction by which the reference beside the samples was off its level."""
    steady: bool | None = None
    """Whether that stayed within the timer's tolerance; None where no reference ran."""
    unsteady: str | None = None
    """Why it is not steady, and who else was busy."""
    process_medians_ms: tuple[float, ...] = ()
    """Median of each process where new ones were started; ``median_ms`` is the median of these."""
    retakes: int = 0
    """Blocks or runs of samples that were thrown away because the reference had moved."""
    slower: float = 0.0
    """Fraction by which the reference beside the samples took longer than at rest; careful samples are scaled by it."""
    quiet_share: float | None = None
    """Share of the short runs of careful sampling beside which it had not; None where blocks were taken."""
    macs: int | None = None
    """Multiply-adds of the modules that were measured, the whole batch."""
    floor_ms: float | None = None
    """Below this the device cannot do it (`segsearch.measure.roofline`)."""
    memory_mib: float | None = None
    """Most memory that inference took; what is counted depends on the device (`segsearch.measure.memory`)."""
    host: HostLatency | None = None
    """From an encoded image to a mask in memory, where asked for."""
    timer: TimerSettings
    software: Software
    contention: Contention
    gpu: GpuLog | None = None
    """Clocks, heat and power before and after; None on a processor or without NVML."""
    started_at: str
    """Time of day in UTC, ISO 8601."""

    @property
    def where(self) -> str:
        """The device, and the machine it is in if that was another one."""
        return f"{self.device} at {self.machine}" if self.machine else self.device

    @property
    def fps(self) -> float:
        """Images per second at the median latency."""
        return 1000 * self.batch / self.median_ms

    @property
    def p99_ms(self) -> float:
        """99 of 100 samples are below."""
        return quantile(self.samples_ms, 0.99)

    @property
    def iqr_ms(self) -> float:
        """Width of the middle half of the samples."""
        return quantile(self.samples_ms, 0.75) - quantile(self.samples_ms, 0.25)

    @property
    def timed_ms(self) -> float:
        """The median as the clock told it, before scaling."""
        return self.median_ms * (1 + self.slower)

    @property
    def reference_ratio(self) -> float | None:
        """Latency in units of the reference network's, from which the machine's drift has gone."""
        return self.timed_ms / self.reference_ms if self.reference_ms else None

    @property
    def doubtful(self) -> bool:
        """Whether others were busy, or the reference network moved, while this was measured."""
        return self.contention.busy or self.steady is False

    @property
    def moved_words(self) -> str:
        """Say how the machine moved, where ``steady`` is False."""
        return moved_words(self.timer, self.reference_drift or 0.0, self.slower, self.quiet_share)
