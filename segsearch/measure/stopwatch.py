"""What tells the time of one call: a wall clock on processors, events on a GPU."""

import time
from collections.abc import Callable
from typing import Protocol

Work = Callable[[], object]


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
