"""How a latency is sampled: blocks of calls between blocks of a fixed reference network, R A R A ... R.

Warm-up goes on while the median of a block of calls is lower than that of the block before; then every call is one
sample. Quantiles of single calls are kept, never a mean over a loop: on a shared machine the tail is long and says
something. Where the reference beside a block took longer or shorter than in the rest of the measurement, a few more
blocks are taken, and the least disturbed ones count. A measurement always ends with samples, and says how far the
machine moved.
"""

import contextlib
import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from segsearch.frozen import Frozen
from segsearch.progress import Report, silent

if TYPE_CHECKING:
    import torch

MOST_THREADS = 512
"""More than any processor has; far more end the process where it stands."""
MOST_SAMPLES = 1_000_000
"""What a worker may send in one answer, `segsearch.remote.protocol`."""
LEAD_SECONDS, LEAD_MOST_MS = 0.02, 200.0
"""Calls before each block that do not count: the reference has filled the caches, and threads have fallen asleep. To a
network that takes longer than that they make no difference."""
_GONE = ("spare_seconds", "most_seconds", "least_quiet", "most_slower")
"""Settings of older versions, ignored where a file has them."""

Work = Callable[[], object]
Laps = Sequence[float]
"""Latencies of single calls in milliseconds, in the order they were taken."""


class TimerSettings(Frozen):
    """When warm-up and sampling end. A slow network always gets its ``min_samples``, however long they take."""

    min_samples: int = Field(default=50, ge=1, le=MOST_SAMPLES, description="samples that are taken in any case")
    min_seconds: float = Field(
        default=1.0, ge=0, le=3600, description="sampling ends once this time has passed and min_samples are taken"
    )
    warmup_block_calls: int = Field(
        default=5, ge=1, le=MOST_SAMPLES, description="calls of a warm-up block, at least; there are two blocks or more"
    )
    warmup_block_seconds: float = Field(
        default=0.1, ge=0, le=3600, description="a warm-up block ends once this time has passed and its calls are made"
    )
    warmup_tolerance: float = Field(
        default=0.01,
        ge=0,
        description="warm-up ends once a block's median is no more than this fraction below that of the block before",
    )
    """Latencies fall while caches fill and clocks rise. Where others disturb them, they rise as well, however many."""
    max_warmup_seconds: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="warm-up ends with the first call that passes this, settled or not, even inside the first block",
    )
    blocks: int = Field(
        default=5,
        ge=1,
        le=MOST_SAMPLES,
        description="blocks that samples are taken in, with the reference network before, between and after",
    )
    reference_tolerance: float = Field(
        default=0.03,
        ge=0,
        description="a block is disturbed if the reference beside it is off its level by more than this fraction",
    )
    retakes: int = Field(
        default=6, ge=0, le=MOST_SAMPLES, description="most blocks that are taken in place of disturbed ones"
    )

    @model_validator(mode="before")
    @classmethod
    def _older(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if name not in _GONE} if isinstance(data, dict) else data

    def on(self, kind: str) -> Self:
        """Adapt to a kind of device: a GPU gets 200 samples and 2 s where nobody asked for another number."""
        least = {"min_samples": 200, "min_seconds": 2.0} if kind == "cuda" else {}
        defaults = (TimerSettings(), QUOTED)
        unasked = {n: most for n, most in least.items() if getattr(self, n) in [getattr(d, n) for d in defaults]}
        return self.model_copy(update=unasked)


QUOTED = TimerSettings(
    min_samples=8, min_seconds=0.5, warmup_block_calls=2, max_warmup_seconds=1.0, blocks=4, retakes=2
)
"""In each of several processes, for figures that people quote: processes differ more than the samples of one."""


class Stopwatch:
    """The wall clock around one call that returns when its work is done."""

    def now_seconds(self) -> float:
        """Seconds of the performance counter."""
        return time.perf_counter()

    def lap_ms(self, work: Work) -> float:
        """Milliseconds from the call to its return."""
        start = time.perf_counter_ns()
        work()
        return (time.perf_counter_ns() - start) / 1e6


class CudaStopwatch(Stopwatch):
    """A pair of CUDA events around one call on the current stream, waited for before the next.

    Without the wait a queue builds up and the time is that of throughput; with it, launching is inside, as in live use.
    """

    def lap_ms(self, work: Work) -> float:
        """Milliseconds between the two events, by the clock of the GPU."""
        import torch

        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        work()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end))


def stopwatch_of(device: "torch.device") -> Stopwatch:
    """Return the stopwatch of a device."""
    return CudaStopwatch() if device.type == "cuda" else Stopwatch()


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What was sampled, and how far the machine moved meanwhile."""

    samples_ms: tuple[float, ...]
    """Of the blocks that count, in the order they were taken."""
    warmup_calls: int
    warmup_settled: bool
    """False where warm-up ended by ``max_warmup_seconds``: latencies still fell, or the network is slow."""
    reference_samples_ms: tuple[float, ...] = ()
    """Of the reference network beside these blocks; empty where none ran."""
    reference_ms: float | None = None
    """Latency of the reference network beside these blocks: the median of `level_ms` over its blocks."""
    reference_drift: float = 0.0
    """Largest fraction by which the reference beside these blocks was off its level in this measurement."""
    retakes: int = 0
    """Blocks that were taken and do not count, as they were more disturbed."""

    @property
    def median_ms(self) -> float:
        """Half of the samples are below."""
        return quantile(self.samples_ms, 0.5)


def quantile(samples: Laps, fraction: float) -> float:
    """Value below which ``fraction`` of the samples lie, between two samples by straight line (numpy's default)."""
    ordered = sorted(samples)
    place = fraction * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def level_ms(laps: Laps) -> float:
    """Mean of all laps but the slowest tenth.

    Where two programs share a core in turns of some milliseconds, most laps of one millisecond are as quick as ever and
    the median does not move; the mean doubles. The tenth is for the interrupts of a quiet machine.
    """
    return statistics.fmean(sorted(laps)[: len(laps) - len(laps) // 10])


@dataclass(frozen=True)
class _Block:
    """Laps of one network, and those of the reference right before and right after."""

    laps: Laps
    before: Laps
    after: Laps

    def drift(self, level: float) -> float:
        """Larger fraction by which the references are off ``level``."""
        return max(abs(level_ms(side) / level - 1) for side in (self.before, self.after))


def sample_beside(
    call: Work,
    reference: Callable[[], Laps],
    *,
    settings: TimerSettings,
    stopwatch: Stopwatch,
    report: Report = silent,
) -> Samples:
    """Warm up, then take blocks of calls between blocks of the reference network.

    Args:
        call: does the work once.
        reference: times one block of the reference network.
        settings: when to stop, and how many disturbed blocks are taken again.
        stopwatch: of the device.
        report: told of every block.
    """
    with no_garbage_collection():
        report("warm up", 0, settings.blocks)
        reference()  # its own first calls
        warmup_calls, settled, last_ms = _warm_up(call, settings, stopwatch)
        blocks, before = list[_Block](), reference()
        while not _enough(blocks, settings):
            report("sample", min(len(blocks), settings.blocks - 1), settings.blocks)
            if last_ms < LEAD_MOST_MS:
                take(call, stopwatch, 1, LEAD_SECONDS)
            least, seconds = -(-settings.min_samples // settings.blocks), settings.min_seconds / settings.blocks
            laps = take(call, stopwatch, least, seconds)
            after = reference()
            blocks.append(_Block(laps, before, after))
            before = after
    level = _level(blocks)
    calm = sorted(range(len(blocks)), key=lambda number: blocks[number].drift(level))[: settings.blocks]
    chosen = [blocks[number] for number in sorted(calm)]
    sides = [side for block in chosen for side in (block.before, block.after)]
    return Samples(
        samples_ms=tuple(lap for block in chosen for lap in block.laps),
        warmup_calls=warmup_calls,
        warmup_settled=settled,
        reference_samples_ms=tuple(lap for side in {id(side): side for side in sides}.values() for lap in side),
        reference_ms=statistics.median(map(level_ms, sides)),
        reference_drift=max(block.drift(level) for block in chosen),
        retakes=len(blocks) - settings.blocks,
    )


def _level(blocks: Sequence[_Block]) -> float:
    """Latency of the reference where the machine stands still: load and heat only make it slower."""
    return quantile([level_ms(laps) for laps in (blocks[0].before, *(block.after for block in blocks))], 0.25)


def _enough(blocks: Sequence[_Block], settings: TimerSettings) -> bool:
    if len(blocks) < settings.blocks:
        return False
    level = _level(blocks)
    quiet = sum(block.drift(level) <= settings.reference_tolerance for block in blocks)
    return quiet >= settings.blocks or len(blocks) >= settings.blocks + settings.retakes


def sample_alone(call: Work, *, settings: TimerSettings, stopwatch: Stopwatch) -> Samples:
    """Warm up, then time single calls, without the reference network."""
    with no_garbage_collection():
        warmup_calls, settled, _ = _warm_up(call, settings, stopwatch)
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


def _warm_up(call: Work, settings: TimerSettings, stopwatch: Stopwatch) -> tuple[int, bool, float]:
    """Call until settled or out of time; return the number of calls, whether it settled, and the last median."""
    deadline = stopwatch.now_seconds() + settings.max_warmup_seconds
    calls, before = 0, None
    while True:
        end = stopwatch.now_seconds() + settings.warmup_block_seconds
        laps = [stopwatch.lap_ms(call)]
        while (now := stopwatch.now_seconds()) < deadline and (now < end or len(laps) < settings.warmup_block_calls):
            laps.append(stopwatch.lap_ms(call))
        calls, median = calls + len(laps), statistics.median(laps)
        if before is not None and median >= (1 - settings.warmup_tolerance) * before:
            return calls, True, median
        if stopwatch.now_seconds() >= deadline:
            return calls, False, median
        before = median


def take(call: Work, stopwatch: Stopwatch, least: int, seconds: float, most: int | None = None) -> list[float]:
    """Laps in milliseconds, until there are ``least`` and ``seconds`` have passed, or there are ``most``."""
    end = stopwatch.now_seconds() + seconds
    laps: list[float] = []
    while len(laps) < least or (len(laps) != most and stopwatch.now_seconds() < end):
        laps.append(stopwatch.lap_ms(call))
    return laps
