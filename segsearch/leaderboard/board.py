"""Named points, their measurements and their papers' figures, side by side; and how far the papers' order holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from segsearch.leaderboard.order import Order, Speed, geometric_mean, kendall_tau, order_of
from segsearch.leaderboard.protocol import MeasuringProtocol
from segsearch.leaderboard.published import device_and_runtime, miou_row, same_size, speed_row, speed_rows
from segsearch.leaderboard.store import Measured, MeasuredStore
from segsearch.space.points import NamedPoint, Published


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One named point and what was measured of it at ``size_hw``."""

    point: NamedPoint
    measured: Measured
    size_hw: tuple[int, int]

    @property
    def miou(self) -> Published | None:
        """The printed mIoU to show, see `published.miou_row`."""
        return miou_row(self.point, self.size_hw)

    @property
    def published(self) -> Published | None:
        """The printed frame rate to show, see `published.speed_row`."""
        return speed_row(self.point, self.size_hw)

    def same_size(self, row: Published) -> bool:
        """Whether a row was printed for the size that was measured."""
        return same_size(self.point, row, self.size_hw)

    def speed(self, row: Published) -> Speed:
        """Set one printed frame rate beside the measured one."""
        latency = self.measured.latency
        return Speed(
            name=self.point.name,
            paper=self.point.paper,
            row=row,
            measured_fps=latency.fps,
            low_fps=1000 / latency.p90_ms,
            high_fps=1000 / latency.p10_ms,
        )


@dataclass(frozen=True, kw_only=True)
class Board:
    """All that was measured of some points under one protocol, fastest first."""

    protocol: MeasuringProtocol
    entries: tuple[Entry, ...]

    @cached_property
    def overall(self) -> Order:
        """One printed frame rate per point, whatever its size and device: what a reader of the tables compares."""
        return order_of("all, sizes and devices mixed", [e.speed(e.published) for e in self.entries if e.published])

    @cached_property
    def at_this_size(self) -> Order:
        """Those of `overall` that were printed for the size that was measured."""
        rows = [(e, e.published) for e in self.entries]
        title = "all that were printed for this size"
        return order_of(title, [e.speed(row) for e, row in rows if row and e.same_size(row)])

    @cached_property
    def by_paper(self) -> tuple[Order, ...]:
        """`overall`, paper by paper; of papers that print two or more."""
        papers: dict[str, list[Speed]] = {}
        for speed in self.overall.speeds:
            papers.setdefault(speed.paper, []).append(speed)
        return tuple(order_of(paper, papers[paper]) for paper in sorted(papers) if len(papers[paper]) > 1)

    @cached_property
    def by_group(self) -> tuple[Order, ...]:
        """Printed frame rates that share device, runtime and size; groups of two or more."""
        groups: dict[tuple[str, str, tuple[int, int]], list[Speed]] = {}
        for entry in self.entries:
            for row in speed_rows(entry.point):
                assert row.size is not None, "rows without a size are left out"
                groups.setdefault((*device_and_runtime(row), row.size), []).append(entry.speed(row))
        return tuple(
            order_of(f"{device}, runtime {runtime}, {height}x{width}", speeds)
            for (device, runtime, (height, width)), speeds in sorted(groups.items())
            if len(speeds) > 1
        )

    @property
    def orders(self) -> tuple[Order, ...]:
        """All comparisons of order, the widest first."""
        return (self.overall, self.at_this_size, *self.by_paper, *self.by_group)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Two protocols over the networks that both measured."""

    left: MeasuringProtocol
    right: MeasuringProtocol
    networks: int
    tau: float | None
    """Kendall's tau-b between their rankings."""
    ratio: float | None
    """Geometric mean of the right one's latency over the left one's."""


def board_of(store: MeasuredStore, points: Sequence[NamedPoint]) -> Board:
    """Gather what the store has of the points, fastest first."""
    known = ((point, store.get(point.spec.id)) for point in points)
    size_hw = store.protocol.size_hw
    entries = [Entry(point=p, measured=m, size_hw=size_hw) for p, m in known if m is not None]
    entries.sort(key=lambda entry: (entry.measured.median_ms, entry.point.name))
    return Board(protocol=store.protocol, entries=tuple(entries))


def agreement(left: Board, right: Board) -> Agreement:
    """Compare two boards network by network; points that are one network count once."""
    theirs = {e.measured.spec_id: e.measured.median_ms for e in right.entries}
    ours = {e.measured.spec_id: e.measured.median_ms for e in left.entries if e.measured.spec_id in theirs}
    pairs = [(ours[spec_id], theirs[spec_id]) for spec_id in ours]
    return Agreement(
        left=left.protocol,
        right=right.protocol,
        networks=len(pairs),
        tau=kendall_tau([a for a, _ in pairs], [b for _, b in pairs]),
        ratio=geometric_mean([b / a for a, b in pairs]) if pairs else None,
    )
