"""Names in the picture of a study: beside their marks, off the front, and clear of one another."""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from segsearch.search.pareto import front
from segsearch.search.record import TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOOT = 0.018
"""Height of the untrained, as a share of the picture's."""
Box = tuple[float, float, float, float]
"""Left, bottom, right, top in points."""


def write_names(axes: "Axes", measured: Sequence[TrialRecord], color: str) -> None:
    """Name the papers' networks, each on the side where its name covers least."""
    from matplotlib.patheffects import withStroke

    taken = [_box(axes, r, 5, 5, (0, 0)) for r in measured if r.trained] + _front_boxes(axes, measured)
    for record in sorted((r for r in measured if r.named), key=lambda r: (r.latency_ms, r.number)):
        width, height = 5.6 * len(record.name), 10.0
        sides = [(x, y) for y in (0, 11, -11, 22) for x in (8.0, -8 - width, -width / 2) if y or abs(x) != width / 2]
        boxes = [_box(axes, record, width, height, (x + width / 2, y)) for x, y in sides]
        allowed = [i for i, (_, y) in enumerate(sides) if record.trained or y > 0]
        chosen = min(allowed, key=lambda i: (_covered(axes, boxes[i], taken), i))
        taken.append(boxes[chosen])
        place: dict[str, Any] = {
            "xytext": sides[chosen],
            "textcoords": "offset points",
            "va": "center",
            "fontsize": 9.5,
        }
        halo = [withStroke(linewidth=2.5, foreground="white")]
        axes.annotate(record.name, _place(axes, record), color=color, zorder=5, path_effects=halo, **place)


def _front_boxes(axes: "Axes", measured: Sequence[TrialRecord]) -> list[Box]:
    """Thin rectangles along the front's level parts, so that names keep off them."""
    boxes: list[Box] = []
    best = front(measured)
    for here, there in itertools.zip_longest(best, best[1:]):
        x, y = axes.transData.transform(_place(axes, here)) * _points(axes)
        end = axes.transData.transform(_place(axes, there))[0] * _points(axes) if there else x + 200
        boxes.append((float(x), float(y) - 2, float(end), float(y) + 2))
    return boxes


def _place(axes: "Axes", record: TrialRecord) -> tuple[float, float]:
    """Where a record lies: (latency in ms, mIoU in percent), or at the foot if it was not trained."""
    low, high = axes.get_ylim()
    return record.latency_ms, 100 * record.miou if record.trained else low + FOOT * (high - low)


def _box(axes: "Axes", record: TrialRecord, width: float, height: float, offset: tuple[float, float]) -> Box:
    """Left, bottom, right, top in points of a rectangle whose middle lies ``offset`` from a record."""
    x, y = axes.transData.transform(_place(axes, record)) * _points(axes)
    x, y = x + offset[0], y + offset[1]
    return float(x - width / 2), float(y - height / 2), float(x + width / 2), float(y + height / 2)


def _covered(axes: "Axes", box: Box, taken: Sequence[Box]) -> float:
    """Area of what a rectangle hides: others, and what would lie outside of the picture."""
    inside = tuple(float(v) * _points(axes) for v in axes.bbox.extents)
    size = (box[2] - box[0]) * (box[3] - box[1])
    seen = overlap(box, (inside[0], inside[1] - 4, inside[2], inside[3]))
    return 3 * (size - seen) + math.fsum(overlap(box, other) for other in taken)


def overlap(a: Box, b: Box) -> float:
    """Area that two rectangles share."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def _points(axes: "Axes") -> float:
    """Points per pixel."""
    return 72 / float(axes.get_figure(root=True).dpi)  # type: ignore[union-attr]
