"""How often to call a function, and when to believe the clock.

Warm-up goes on until two neighbouring blocks of calls have the same median; then every call is one sample. The median
and the quantiles of all samples are kept, never a mean over a loop: on a shared machine the tail is long and says
something.
"""

import contextlib
import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field

from segsearch.frozen import Frozen

Work = Callable[[], object]


MOST_THREADS = 512
"""More than any processor has; far more end the process where it stands."""


class TimerSettings(Frozen):
    """When warm-up and sampling end. A slow network always gets its ``min_samples``, however long they take."""

    min_samples: int = Field(default=50, ge=1)
    min_seconds: float = Field(default=1.0, ge=0)
    """Sampling ends once both this time has passed and ``min_samples`` are taken."""
    warmup_block_calls: int = Field(default=5, ge=1)
    warmup_block_seconds: float = Field(default=0.1, ge=0)
    """A warm-up block ends once this time has passed and this many calls are made; there are two blocks or more."""
    warmup_tolerance: float = Field(default=0.01, ge=0)
    """Warm-up ends once the median of a block differs from that of the block before by no more than this fraction."""
    max_warmup_seconds: float = Field(default=10.0, ge=0)
    """Warm-up ends with the first call that passes this, settled or not, even inside the first block."""


class Stopwatch(Protocol):
    """What tells the time: one implementation per kind of device, and a scripted one in tests."""

    def now_seconds(self) -> float:
        """Seconds since some fixed moment, for the rules on when to stop."""
        ...

    def lap_ms(self, work: Work) -> float:
        """Do the work once, wait until it is done, and return how long it took in milliseconds."""
        ...


class WallStopwatch:
    """The wall clock around one call, for work that is done when the call returns or when ``synchronise`` does."""

    def __init__(self, synchronise: Callable[[], object] | None = None) -> None:
        self._synchronise = synchronise or (lambda: None)

    def now_seconds(self) -> float:
        """Seconds of the performance counter."""
        return time.perf_counter()

    def lap_ms(self, work: Work) -> float:
        """Milliseconds from an idle device to an idle device."""
        self._synchronise()
        start = time.perf_counter_ns()
        work()
        self._synchronise()
        return (time.perf_counter_ns() - start) / 1e6


class CudaStopwatch:
    """A pair of CUDA events around one call on the current stream, waited for before the next.

    Without the wait a queue builds up and the time is that of throughput; with it, launching is inside, as in live use.
    """

    def now_seconds(self) -> float:
        """Seconds of the performance counter."""
        return time.perf_counter()

    def lap_ms(self, work: Work) -> float:
        """Milliseconds between the two events, by the clock of the GPU."""
        import torch

        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        work()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end))


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Latencies in the order they were taken, and how warm-up went."""

    samples_ms: tuple[float, ...]
    warmup_calls: int
    warmup_settled: bool
    """False where warm-up ended by ``max_warmup_seconds``: the machine was restless, or the network slow."""

    @property
    def median_ms(self) -> float:
        """Half of the samples are below."""
        return quantile(self.samples_ms, 0.5)

    @property
    def p10_ms(self) -> float:
        """A tenth of the samples is below."""
        return quantile(self.samples_ms, 0.1)

    @property
    def p90_ms(self) -> float:
        """Nine tenths of the samples are below."""
        return quantile(self.samples_ms, 0.9)


def quantile(samples: Sequence[float], fraction: float) -> float:
    """Value below which ``fraction`` of the samples lie, between two samples by straight line (numpy's default)."""
    ordered = sorted(samples)
    place = fraction * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def sample_latencies(
    call: Work, *, settings: TimerSettings | None = None, stopwatch: Stopwatch | None = None
) -> Samples:
    """Warm up, then time single calls, with Python's garbage collector held back.

    Args:
        call: does the work once.
        settings: when to stop; the defaults of `TimerSettings` when left out.
        stopwatch: the wall clock when left out; `CudaStopwatch` for work on a GPU.
    """
    settings, stopwatch = settings or TimerSettings(), stopwatch or WallStopwatch()
    with no_garbage_collection():
        warmup_calls, settled = _warm_up(call, settings, stopwatch)
        samples = _sample(call, settings, stopwatch)
    return Samples(samples_ms=tuple(samples), warmup_calls=warmup_calls, warmup_settled=settled)


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect once, then hold the collector back; put it as it was at the end."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _warm_up(call: Work, settings: TimerSettings, stopwatch: Stopwatch) -> tuple[int, bool]:
    """Call until settled or out of time; return the number of calls and whether it settled."""
    deadline = stopwatch.now_seconds() + settings.max_warmup_seconds
    calls, before = 0, None
    while True:
        block = _block(call, settings, stopwatch, deadline)
        calls, median = calls + len(block), statistics.median(block)
        if before is not None and abs(median - before) <= settings.warmup_tolerance * before:
            return calls, True
        if stopwatch.now_seconds() >= deadline:
            return calls, False
        before = median


def _block(call: Work, settings: TimerSettings, stopwatch: Stopwatch, deadline: float) -> list[float]:
    """One block of warm-up, cut short at ``deadline``; at least one call."""
    end = stopwatch.now_seconds() + settings.warmup_block_seconds
    laps = [stopwatch.lap_ms(call)]
    while (now := stopwatch.now_seconds()) < deadline and (now < end or len(laps) < settings.warmup_block_calls):
        laps.append(stopwatch.lap_ms(call))
    return laps


def _sample(call: Work, settings: TimerSettings, stopwatch: Stopwatch) -> list[float]:
    end = stopwatch.now_seconds() + settings.min_seconds
    laps: list[float] = []
    while len(laps) < settings.min_samples or stopwatch.now_seconds() < end:
        laps.append(stopwatch.lap_ms(call))
    return laps
