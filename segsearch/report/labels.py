"""Names beside marks that cover nothing: what finds no free place is written shorter, or left out.

A greedy placement of our own: adjustText moves all names at once until a time limit, so that pictures differ from run
to run, leaves some names over one another in crowded pictures, and needs scipy.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEAR, FAR = (7.0, 13.0), (20.0, 28.0, 38.0, 50.0, 64.0, 80.0, 100.0, 125.0)
"""Distances between mark and name, in points; a name at a far one has a line to its mark."""
ANGLES = (0, 180, 90, 270, 35, 145, 215, 325, 60, 120, 15, 165, 240, 300, 75, 105)
"""Directions from mark to name, in degrees, the best first."""
FONT_POINTS = 7.5
MARK_POINTS = 8.0
"""Side of the square that a mark takes."""
AIR_POINTS = 1.5
"""Kept free around a name."""
CROSSED_LINE, CROSSED_MARK, SHORTENED = 25.0, 40.0, 50.0
"""A name over a drawn line, a name whose own line crosses a mark, a shortened name count as so much farther away."""
Box = tuple[float, float, float, float]
"""Left, bottom, right, top in pixels."""
Segment = tuple[float, float, float, float]
"""x and y of both ends in pixels."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """A name for the mark at (x, y) in the axes' own units."""

    x: float
    y: float
    text: str
    color: str
    short: str | None = None
    """Written where there is no place for ``text``."""
    needed: bool = False
    """Tried at far distances, too."""
    bold: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a name goes: its offset from the mark in points, its rectangle, and the line to its mark if it is far."""

    offset: tuple[float, float]
    box: Box
    leader: Segment | None


def write_labels(
    axes: "Axes",
    labels: Sequence[Label],
    marks: Sequence[tuple[float, float]],
    *,
    taken: Sequence[Box] = (),
    lines: Sequence[Segment] = (),
) -> list[Box]:
    """Write names, the first ones first; return the rectangles that they take, in pixels.

    No name covers another one, a mark, or what is ``taken``, nor leaves the frame.

    Args:
        axes: drawn already, with its final limits.
        labels: the names.
        marks: all marks that are drawn, in the axes' own units.
        taken: rectangles of other text, in pixels.
        lines: drawn lines, in pixels, that names keep off where they can.
    """
    spots = [_square(axes, mark) for mark in marks]
    written: list[Box] = []
    leaders: list[Segment] = []
    for label in labels:
        hard = [*taken, *written, *spots]
        texts = [(label.text, 0.0), *([(label.short, SHORTENED)] if label.short else [])]
        found = [
            (cost + more, text, place)
            for text, more in texts
            for cost, place in _place(axes, label, text, hard, [*taken, *written], leaders, spots, lines)
        ]
        if found:
            _, text, place = min(found, key=lambda each: each[0])
            _write(axes, label, text, place)
            written.append(place.box)
            leaders += [place.leader] if place.leader else []
    return written


def text_box(text: Any) -> Box:
    """Return the rectangle in pixels that a text of matplotlib takes when it is drawn."""
    extent = text.get_window_extent(text.get_figure(root=True).canvas.get_renderer())
    return float(extent.x0), float(extent.y0), float(extent.x1), float(extent.y1)


def overlap(a: Box, b: Box) -> float:
    """Area that two rectangles share."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def crosses(segment: Segment, box: Box) -> bool:
    """Whether a straight line touches a rectangle (clipping of Liang and Barsky)."""
    x, y, x_end, y_end = segment
    enters, leaves = 0.0, 1.0
    for start, step, low, high in ((x, x_end - x, box[0], box[2]), (y, y_end - y, box[1], box[3])):
        if step == 0:
            if not low <= start <= high:
                return False
            continue
        near, far = sorted(((low - start) / step, (high - start) / step))
        enters, leaves = max(enters, near), min(leaves, far)
    return enters <= leaves


def _place(
    axes: "Axes",
    label: Label,
    text: str,
    hard: Sequence[Box],
    texts: Sequence[Box],
    leaders: Sequence[Segment],
    spots: Sequence[Box],
    lines: Sequence[Segment],
) -> list[tuple[float, Place]]:
    """Return what the best place costs, in points, and this place, where a text covers nothing; or nothing."""
    size, own, frame = _size(axes, label, text), _square(axes, (label.x, label.y)), axes.bbox.extents
    found: list[tuple[float, int, Place]] = []
    air = AIR_POINTS * _pixels_per_point(axes)
    for rank, (distance, offset) in enumerate(_offsets(label.needed)):
        if found and found[0][0] <= distance:
            break  # nothing farther away can be better
        place = _at(axes, label, offset, size, leads=distance > NEAR[-1])
        box, leader = _widened(place.box, air), place.leader
        free = _inside(place.box, frame) and not any(overlap(box, other) for other in hard)
        if not free or any(crosses(other, box) for other in leaders):
            continue
        if leader and (
            any(crosses(leader, other) for other in texts) or any(_meet(leader, other) for other in leaders)
        ):
            continue
        across = sum(crosses(line, box) for line in lines)
        over = sum(crosses(leader, spot) for spot in spots if spot != own) if leader else 0
        found.append((distance + CROSSED_LINE * across + CROSSED_MARK * over, rank, place))
        found.sort(key=lambda each: each[:2])
    return [(found[0][0], found[0][2])] if found else []


def _offsets(needed: bool) -> Iterator[tuple[float, tuple[float, float]]]:
    """Distance and offset in points of all places, the nearest first."""
    for distance in (*NEAR, *(FAR if needed else ())):
        for angle in ANGLES:
            across, up = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            yield distance, (distance * across, distance * up)


def _at(axes: "Axes", label: Label, offset: tuple[float, float], size: tuple[float, float], *, leads: bool) -> Place:
    """Return the place at an offset: the text begins, is centred or ends there, as `_alignment` says."""
    x, y = (float(value) for value in axes.transData.transform((label.x, label.y)))
    scale = _pixels_per_point(axes)
    horizontal, vertical = _alignment(offset)
    left = x + scale * offset[0] - {"left": 0.0, "center": 0.5, "right": 1.0}[horizontal] * size[0]
    bottom = y + scale * offset[1] - {"bottom": 0.0, "center": 0.5, "top": 1.0}[vertical] * size[1]
    leader = (x, y, x + scale * offset[0], y + scale * offset[1]) if leads else None
    return Place(offset=offset, box=(left, bottom, left + size[0], bottom + size[1]), leader=leader)


def _alignment(offset: tuple[float, float]) -> tuple[str, str]:
    across, up = (round(part / math.hypot(*offset), 3) for part in offset)
    horizontal = "center" if abs(across) < 0.2 else "left" if across > 0 else "right"
    vertical = "center" if abs(up) < 0.2 else "bottom" if up > 0 else "top"
    return horizontal, vertical


def _style(label: Label) -> dict[str, Any]:
    return {"fontsize": FONT_POINTS, "fontweight": "bold" if label.bold else "normal"}


def _size(axes: "Axes", label: Label, text: str) -> tuple[float, float]:
    """Width and height in pixels that a text takes when it is drawn."""
    drawn = axes.text(0, 0, text, **_style(label))
    box = text_box(drawn)
    drawn.remove()
    return box[2] - box[0], box[3] - box[1]


def _write(axes: "Axes", label: Label, text: str, place: Place) -> None:
    from matplotlib.patheffects import withStroke

    horizontal, vertical = _alignment(place.offset)
    style: dict[str, Any] = {"ha": horizontal, "va": vertical, "color": label.color, **_style(label)}
    if place.leader:
        axes.annotate(
            "",
            (label.x, label.y),
            place.offset,
            textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": label.color, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
            zorder=4.5,
        )
    halo = [withStroke(linewidth=1.8, foreground="white")]
    mark = (label.x, label.y)
    axes.annotate(text, mark, place.offset, textcoords="offset points", zorder=5, path_effects=halo, **style)


def _meet(a: Segment, b: Segment) -> bool:
    """Whether two straight lines cross."""

    def side(line: Segment, x: float, y: float) -> float:
        return (line[2] - line[0]) * (y - line[1]) - (line[3] - line[1]) * (x - line[0])

    apart_of_a = side(a, b[0], b[1]) * side(a, b[2], b[3]) < 0
    return apart_of_a and side(b, a[0], a[1]) * side(b, a[2], a[3]) < 0


def _inside(box: Box, frame: Sequence[float]) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _widened(box: Box, by: float) -> Box:
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _square(axes: "Axes", place: tuple[float, float]) -> Box:
    """Return the rectangle of a mark, in pixels."""
    x, y = (float(value) for value in axes.transData.transform(place))
    half = MARK_POINTS / 2 * _pixels_per_point(axes)
    return x - half, y - half, x + half, y + half


def _pixels_per_point(axes: "Axes") -> float:
    return float(axes.get_figure(root=True).dpi) / 72  # type: ignore[union-attr]
