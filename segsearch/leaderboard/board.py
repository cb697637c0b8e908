"""Named points, their measurements and their papers' figures, side by side; and how far the papers' order holds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from segsearch.leaderboard.order import Order, Speed, geometric_mean, order_of
from segsearch.measure.record import LatencyRecord
from segsearch.space.points import NamedPoint, Published
from segsearch.spec.network import scaled_size
from segsearch.study.promotion import kendall
from segsearch.timing import LatencyProtocol, LatencyStore

DATASET = "Cityscapes"
NOT_SAID = "not said"


def speed_rows(point: NamedPoint) -> tuple[Published, ...]:
    """All frame rates that the paper prints for a point, once per device and size."""
    rows: dict[tuple[object, ...], Published] = {}
    for row in point.published:
        if row.metric == "fps" and row.size is not None and row.value > 0:
            rows.setdefault((row.device, row.size), row)
    return tuple(rows.values())


def speed_row(point: NamedPoint, size_hw: tuple[int, int]) -> Published | None:
    """Return the frame rate printed for the size nearest to ``size_hw`` in pixels; of several devices the highest."""
    rows = speed_rows(point)
    return min(rows, key=lambda row: (_distance(point, row, size_hw), -row.value)) if rows else None


def miou_row(point: NamedPoint, size_hw: tuple[int, int]) -> Published | None:
    """Return the mIoU printed for the size nearest to ``size_hw``, on Cityscapes; val before test."""
    rows = [row for row in point.published if row.metric == "miou" and row.dataset == DATASET]
    return min(rows, key=lambda row: (_distance(point, row, size_hw), row.split != "val")) if rows else None


def same_size(point: NamedPoint, row: Published, size_hw: tuple[int, int]) -> bool:
    """Whether a row was printed for images of ``size_hw``, or for what the network sees of them after its scaling."""
    return row.size in (size_hw, scaled_size(point.spec, size_hw))


def device_and_runtime(row: Published) -> tuple[str, str]:
    """Split ``GTX 1080Ti, TensorRT``; a runtime that the paper does not name is "not said"."""
    device, _, runtime = (row.device or NOT_SAID).partition(", ")
    return device, runtime or NOT_SAID


def _distance(point: NamedPoint, row: Published, size_hw: tuple[int, int]) -> float:
    """How far a row's size is from what is asked, as the logarithm of the ratio of pixels; 0 for `same_size`."""
    if row.size is None:
        return math.inf
    if same_size(point, row, size_hw):
        return 0.0
    return abs(math.log(math.prod(row.size) / math.prod(size_hw)))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One named point and what was measured of it at ``size_hw``."""

    point: NamedPoint
    latency: LatencyRecord
    size_hw: tuple[int, int]
    plain: LatencyRecord | None = None
    """Of its plain export under the same protocol, where that was measured."""

    @property
    def gain(self) -> float | None:
        """How many times faster than the plain export it is."""
        return None if self.plain is None else self.plain.median_ms / self.latency.median_ms

    @property
    def miou(self) -> Published | None:
        """The printed mIoU to show, see `miou_row`."""
        return miou_row(self.point, self.size_hw)

    @property
    def published(self) -> Published | None:
        """The printed frame rate to show, see `speed_row`."""
        return speed_row(self.point, self.size_hw)

    def same_size(self, row: Published) -> bool:
        """Whether a row was printed for the size that was measured."""
        return same_size(self.point, row, self.size_hw)

    def speed(self, row: Published) -> Speed:
        """Set one printed frame rate beside the measured one."""
        latency = self.latency
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

    protocol: LatencyProtocol
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

    @cached_property
    def gains(self) -> dict[str, float]:
        """How many times faster than its plain export each network is, by name; of points that share one, the first."""
        networks = {entry.point.spec.id: entry for entry in reversed(self.entries)}
        return {entry.point.name: entry.gain for entry in networks.values() if entry.gain is not None}

    @property
    def orders(self) -> tuple[Order, ...]:
        """All comparisons of order, the widest first."""
        return (self.overall, self.at_this_size, *self.by_paper, *self.by_group)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Two protocols over the networks that both measured."""

    left: LatencyProtocol
    right: LatencyProtocol
    networks: int
    tau: float | None
    """Kendall's tau-b between their rankings."""
    ratio: float | None
    """Geometric mean of the right one's latency over the left one's."""


def board_of(store: LatencyStore, protocol: LatencyProtocol, points: Sequence[NamedPoint]) -> Board:
    """Gather what the store has of the points under a protocol, fastest first."""
    entries = [
        Entry(point=point, latency=found, size_hw=protocol.size_hw, plain=store.get(protocol.of_plain, point.spec.id))
        for point in points
        if (found := store.get(protocol, point.spec.id)) is not None
    ]
    entries.sort(key=lambda entry: (entry.latency.median_ms, entry.point.name))
    return Board(protocol=protocol, entries=tuple(entries))


def agreement(left: Board, right: Board) -> Agreement:
    """Compare two boards network by network; points that are one network count once."""
    ours, theirs = ({e.point.spec.id: e.latency.median_ms for e in board.entries} for board in (left, right))
    pairs = [(ours[spec_id], theirs[spec_id]) for spec_id in ours if spec_id in theirs]
    return Agreement(
        left=left.protocol,
        right=right.protocol,
        networks=len(pairs),
        tau=kendall(pairs),
        ratio=geometric_mean([b / a for a, b in pairs]) if pairs else None,
    )
