"""Names beside marks that never cover one another: what finds no free place goes without, unless it must have one."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segsearch.report.plot_names import Box, overlap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEAR, FAR = (7.0, 13.0), (20.0, 28.0, 38.0, 50.0, 64.0)
"""Distances between mark and name, in points; the far ones are for names that must be there."""
ANGLES = (0, 180, 90, 270, 35, 145, 215, 325)
"""Directions from mark to name, in degrees, the best first."""
FONT_POINTS = 7.5
MARK_POINTS = 6.0
"""Side of the square that a mark takes."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """A name for the mark at (x, y) in the axes' own units."""

    x: float
    y: float
    text: str
    color: str
    needed: bool = False
    """Tried at greater distances too, with a line to its mark, and over other marks if need be."""


def write_labels(axes: "Axes", labels: Sequence[Label], marks: Sequence[tuple[float, float]]) -> list[Box]:
    """Write names, the first ones first; return the rectangles that they take, in pixels, none over another.

    ``marks``: all that is drawn, in the axes' own units; names keep off them.
    """
    scale = float(axes.get_figure(root=True).dpi) / 72  # type: ignore[union-attr]
    spots = [_square(axes, place, MARK_POINTS * scale) for place in marks]
    frame = tuple(float(v) for v in axes.bbox.extents)
    taken: list[Box] = []
    for label in labels:
        place = _free(axes, label, scale, (frame[0], frame[1], frame[2], frame[3]), taken, spots)
        if place is not None:
            offset, box = place
            _write(axes, label, offset, far=math.hypot(*offset) > NEAR[-1] + 1)
            taken.append(box)
    return taken


def _free(
    axes: "Axes", label: Label, scale: float, frame: Box, taken: Sequence[Box], spots: Sequence[Box]
) -> tuple[tuple[float, float], Box] | None:
    """Find an offset in points whose rectangle covers no name; of those the one that covers least of other marks."""
    found: list[tuple[float, int, tuple[float, float], Box]] = []
    own = _square(axes, (label.x, label.y), MARK_POINTS * scale)
    size = _size(axes, label)
    for rank, offset in enumerate(_offsets(label.needed)):
        box = _box(axes, label, offset, size, scale)
        if not _inside(box, frame) or any(overlap(box, other) for other in taken):
            continue
        covered = math.fsum(overlap(box, spot) for spot in spots if spot != own)
        if not covered:
            return offset, box
        found.append((covered, rank, offset, box))
    return min(found)[2:] if found and label.needed else None


def _offsets(needed: bool) -> Iterator[tuple[float, float]]:
    for distance, angle in itertools.product((*NEAR, *(FAR if needed else ())), ANGLES):
        yield distance * math.cos(math.radians(angle)), distance * math.sin(math.radians(angle))


def _box(axes: "Axes", label: Label, offset: tuple[float, float], size: tuple[float, float], scale: float) -> Box:
    """Rectangle of a name in pixels: it begins, is centred or ends at its offset, as `_alignment` says."""
    x, y = axes.transData.transform((label.x, label.y))
    horizontal, vertical = _alignment(offset)
    left = x + scale * offset[0] - {"left": 0.0, "center": 0.5, "right": 1.0}[horizontal] * size[0]
    bottom = y + scale * offset[1] - {"bottom": 0.0, "center": 0.5, "top": 1.0}[vertical] * size[1]
    return float(left), float(bottom), float(left + size[0]), float(bottom + size[1])


def _alignment(offset: tuple[float, float]) -> tuple[str, str]:
    across, up = (round(part / math.hypot(*offset), 3) for part in offset)
    horizontal = "center" if abs(across) < 0.2 else "left" if across > 0 else "right"
    vertical = "center" if abs(up) < 0.2 else "bottom" if up > 0 else "top"
    return horizontal, vertical


def _size(axes: "Axes", label: Label) -> tuple[float, float]:
    """Width and height in pixels that a name takes when it is drawn."""
    canvas: Any = axes.get_figure(root=True).canvas  # type: ignore[union-attr]
    text = axes.text(0, 0, label.text, fontsize=FONT_POINTS)
    extent = text.get_window_extent(canvas.get_renderer())
    text.remove()
    return float(extent.width), float(extent.height)


def _write(axes: "Axes", label: Label, offset: tuple[float, float], *, far: bool) -> None:
    from matplotlib.patheffects import withStroke

    horizontal, vertical = _alignment(offset)
    style: dict[str, Any] = {"ha": horizontal, "va": vertical, "fontsize": FONT_POINTS, "color": label.color}
    if far:
        style["arrowprops"] = {"arrowstyle": "-", "color": label.color, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3}
    halo = [withStroke(linewidth=1.8, foreground="white")]
    place = (label.x, label.y)
    axes.annotate(label.text, place, offset, textcoords="offset points", zorder=5, path_effects=halo, **style)


def _inside(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _square(axes: "Axes", place: tuple[float, float], side: float) -> Box:
    x, y = axes.transData.transform(place)
    return float(x - side / 2), float(y - side / 2), float(x + side / 2), float(y + side / 2)
