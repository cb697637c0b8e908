"""One latency, and all that has to be known to believe or repeat it."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from segsearch.frozen import Frozen
from segsearch.measure.host import HostLatency
from segsearch.measure.load import Contention, GpuLog
from segsearch.measure.machine import Software
from segsearch.measure.timer import TimerSettings, quantile

_Gone = Annotated[None, BeforeValidator(lambda _: None), Field(exclude=True, repr=False)]
"""What older versions wrote; read and dropped."""


class LatencyRecord(Frozen):
    """Latency of one network under one backend on one device; two records compare only where all of that agrees.

    ``model_dump(mode="json")`` and ``LatencyRecord.parse`` are exact inverses. Fields with a default are younger than
    the first records, and what older versions wrote and is gone is ignored.
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
    """Of all samples, as the clock told; of several processes the median of their medians."""
    p10_ms: float
    p90_ms: float
    samples_ms: tuple[float, ...] = Field(min_length=1)
    """In the order they were taken."""
    process_medians_ms: tuple[float, ...] = ()
    """Median of each new process; empty where it was measured in the process that asked."""
    warmup_calls: int
    warmup_settled: bool
    reference_ms: float | None = None
    """Latency of the reference network between the samples; None in records from before there was one."""
    reference_samples_ms: tuple[float, ...] = ()
    """Of the reference network, between the samples."""
    reference_drift: float | None = None
    """Largest fraction by which the reference beside the samples was off its level."""
    steady: Annotated[bool, BeforeValidator(lambda told: True if told is None else told)] = True
    """Whether that stayed within the timer's tolerance and nobody else used the processor or the GPU."""
    unsteady: str | None = None
    """Why it is not steady, and who else was busy."""
    retakes: int = 0
    """Blocks of samples that do not count, as the reference moved beside them."""
    params: int | None = None
    """Learnable numbers of the network, where it was built here."""
    macs: int | None = None
    """Multiply-adds of the network, the whole batch."""
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

    slower: _Gone = None
    quiet_share: _Gone = None

    @model_validator(mode="after")
    def _told(self) -> Self:
        """Let ``unsteady`` say why where it does not: older versions told only of the reference in ``steady``."""
        drift = None if self.steady else self.reference_drift or 0.0
        words = self.unsteady or unsteady_words(drift, -1.0, self.contention)
        self.__dict__.update(unsteady=words, steady=words is None)
        return self

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
    def reference_ratio(self) -> float | None:
        """Latency in units of the reference network's, from which most of the machine's drift has gone."""
        return self.median_ms / self.reference_ms if self.reference_ms else None


def unsteady_words(drift: float | None, tolerance: float, contention: Contention) -> str | None:
    """Say why a measurement is not steady: how far the reference moved, and who was busy; None where it is."""
    moved = f"the reference network moved {100 * drift:.0f} %" if drift is not None and drift > tolerance else ""
    return "; ".join(filter(None, [moved, contention.words if contention.busy else ""])) or None
