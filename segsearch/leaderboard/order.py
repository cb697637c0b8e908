"""Does one ranking hold in another: Kendall's tau, and the pairs that swap."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segsearch.space.points import Published
from segsearch.study.promotion import kendall


@dataclass(frozen=True, kw_only=True)
class Speed:
    """One network's printed frame rate beside the measured one."""

    name: str
    paper: str
    row: Published
    """Where, for what size and on what device it was printed."""
    measured_fps: float
    low_fps: float
    """At the latency that nine of ten samples keep."""
    high_fps: float

    @property
    def published_fps(self) -> float:
        """As the paper prints it."""
        return self.row.value


@dataclass(frozen=True, kw_only=True)
class Swap:
    """Two networks of which the measurement says the opposite of what is printed."""

    faster: Speed
    """The one printed as faster."""
    slower: Speed

    @property
    def published_ratio(self) -> float:
        """How many times faster it is printed to be; above 1."""
        return self.faster.published_fps / self.slower.published_fps

    @property
    def measured_ratio(self) -> float:
        """How many times faster it is measured to be; below 1."""
        return self.faster.measured_fps / self.slower.measured_fps

    @property
    def factor(self) -> float:
        """How far the printed ratio is from the measured one."""
        return self.published_ratio / self.measured_ratio

    @property
    def clear(self) -> bool:
        """Whether the spreads (p10 to p90) of the two measurements lie apart."""
        return self.faster.high_fps < self.slower.low_fps


@dataclass(frozen=True, kw_only=True)
class Order:
    """How well the printed order of some networks holds."""

    title: str
    speeds: tuple[Speed, ...]
    tau: float | None
    """Kendall's tau-b: 1 for the same order, -1 for the opposite; None where one side does not order anything."""
    agreeing: int
    tied: int
    """Pairs that are equal on either side."""
    swaps: tuple[Swap, ...]
    """The worst first."""


def order_of(title: str, speeds: Sequence[Speed]) -> Order:
    """Compare printed and measured order over all pairs."""
    swaps = sorted(_swaps(speeds), key=lambda swap: (-swap.factor, swap.faster.name, swap.slower.name))
    published, measured = [s.published_fps for s in speeds], [s.measured_fps for s in speeds]
    pairs = list(itertools.combinations(zip(published, measured, strict=True), 2))
    tied = sum(a[0] == b[0] or a[1] == b[1] for a, b in pairs)
    return Order(
        title=title,
        speeds=tuple(speeds),
        tau=kendall(list(zip(published, measured, strict=True))),
        agreeing=len(pairs) - tied - len(swaps),
        tied=tied,
        swaps=tuple(swaps),
    )


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive numbers."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def _swaps(speeds: Sequence[Speed]) -> Iterator[Swap]:
    for a, b in itertools.combinations(speeds, 2):
        faster, slower = (a, b) if a.published_fps > b.published_fps else (b, a)
        if faster.published_fps > slower.published_fps and faster.measured_fps < slower.measured_fps:
            yield Swap(faster=faster, slower=slower)
