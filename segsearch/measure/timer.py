"""How often to call a function, and when to believe the clock.

Warm-up goes on until two neighbouring blocks of calls have the same median; then every call is one sample. The median
and the quantiles of all samples are kept, never a mean over a loop: on a shared machine the tail is long and says
something. `segsearch.measure.interleave` and `segsearch.measure.careful` also ask a
reference network whether the machine stood still.
"""

import contextlib
import gc
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import Field

from segsearch.frozen import Frozen
from segsearch.measure.stopwatch import Stopwatch, WallStopwatch, Work

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
    blocks: int = Field(default=5, ge=1)
    """Samples are taken in so many blocks, with the reference network before, between and after."""
    reference_tolerance: float = Field(default=0.03, ge=0)
    """A block is retaken if the reference beside it is off its level by more than this fraction."""
    retakes: int = Field(default=6, ge=0)
    """Most blocks that are retaken before the machine counts as unsteady; one bad reference costs both its blocks."""

    spare_seconds: float = Field(default=0.0, ge=0)
    """Above 0, samples are taken with care instead (`segsearch.measure.careful`): for at least so long, in short runs
    between short references, of the network prepared anew every second where the backend can."""
    most_seconds: float = Field(default=40.0, ge=0)
    """Care ends after this time, once ``min_samples`` are taken, quiet or not."""
    least_quiet: float = Field(default=0.2, ge=0, le=1)
    """Where a smaller share of the short runs is quiet, others are at work nearly all the while, and load memory where
    the small reference does not feel it. Of 197 medians of 20 networks, those lay up to 7 % apart, the rest 2.7 %."""
    most_slower: float = Field(default=0.1, ge=0)
    """Care scales by the reference, but where that takes more than this fraction longer than at rest, the machine is
    another one: not all networks slow down alike."""

    @property
    def block_samples(self) -> int:
        """Least samples of one block."""
        return -(-self.min_samples // self.blocks)

    @property
    def block_seconds(self) -> float:
        """Least time in the calls of one block."""
        return self.min_seconds / self.blocks

    def on(self, kind: str) -> Self:
        """Adapt to a kind of device: a GPU gets 200 samples and 2 s where nobody asked for another number."""
        least = {"min_samples": 200, "min_seconds": 2.0} if kind == "cuda" else {}
        unasked = {name: most for name, most in least.items() if getattr(self, name) in self._unasked(name)}
        return self.model_copy(update=unasked)

    def _unasked(self, name: str) -> set[object]:
        """Values of a setting that nobody asked for by number."""
        usual = [TimerSettings(), CAREFUL] if self.spare_seconds else [TimerSettings()]
        return {getattr(settings, name) for settings in usual}


CAREFUL = TimerSettings(min_samples=12, min_seconds=0.5, spare_seconds=8.0)
"""For figures that people will quote. `benchmarks/spread.py` measures how well they repeat."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Latencies in the order they were taken, and how warm-up went."""

    samples_ms: tuple[float, ...]
    """As timed in blocks; of short runs, scaled to the reference's latency at rest."""
    warmup_calls: int
    warmup_settled: bool
    """False where warm-up ended by ``max_warmup_seconds``: the machine was restless, or the network slow."""
    reference_ms: float | None = None
    """Latency of the reference network beside these samples; None where none ran."""
    level_ms: float | None = None
    """Latency of the reference network where the machine stood still; of blocks, or where it is known to."""
    slower: float = 0.0
    """Fraction by which the reference beside the samples took longer than at rest, and the network than they say."""
    drift: float = 0.0
    """Largest fraction by which the reference beside these samples was off its level."""
    steady: bool = True
    """False where too many blocks had to be retaken: these are then the quietest there were."""
    retakes: int = 0
    """Blocks that were thrown away because the machine moved."""
    quiet_share: float | None = None
    """Share of short runs beside which the machine stood still; None where blocks were taken."""

    @property
    def median_ms(self) -> float:
        """Half of the samples are below."""
        return quantile(self.samples_ms, 0.5)

    @property
    def timed_ms(self) -> float:
        """The median as the clock told it, before scaling."""
        return self.median_ms * (1 + self.slower)

    @property
    def p10_ms(self) -> float:
        """A tenth of the samples is below."""
        return quantile(self.samples_ms, 0.1)

    @property
    def p90_ms(self) -> float:
        """Nine tenths of the samples are below."""
        return quantile(self.samples_ms, 0.9)


def moved_words(settings: TimerSettings, drift: float, slower: float, quiet_share: float | None) -> str:
    """Say how the reference network told that the machine did not stand still."""
    if quiet_share is None or drift > settings.reference_tolerance:
        return f"the reference network moved {100 * drift:.0f} %"
    if quiet_share < settings.least_quiet:
        return f"the reference network stood still beside {100 * quiet_share:.0f} % of the runs only"
    return f"the reference network took {100 * slower:.0f} % longer than at rest"


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
        warmup_calls, settled = warm_up(call, settings, stopwatch)
        samples = take(call, stopwatch, settings.min_samples, settings.min_seconds)
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


def warm_up(call: Work, settings: TimerSettings, stopwatch: Stopwatch) -> tuple[int, bool]:
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


def take(call: Work, stopwatch: Stopwatch, least: int, seconds: float) -> list[float]:
    """Laps in milliseconds, until there are ``least`` and ``seconds`` have passed."""
    end = stopwatch.now_seconds() + seconds
    laps: list[float] = []
    while len(laps) < least or stopwatch.now_seconds() < end:
        laps.append(stopwatch.lap_ms(call))
    return laps
