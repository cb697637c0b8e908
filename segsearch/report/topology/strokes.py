"""Lines with heads, and the small pictures of fusions inside their boxes."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from segsearch.report.canvas import INK
from segsearch.report.topology.graph import Way
from segsearch.report.topology.layout import Place

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS: dict[Way, str] = {
    "plain": "#5b6672",
    "finer": "#b34700",
    "warped": "#b34700",
    "coarser": "#0060a0",
    "skip": "#00795a",
    "again": "#b34700",
    "beside": "#00795a",
    "decoder": "#8a5a83",
}
"""Okabe and Ito's palette, darkened; no two that differ in meaning alone by red and green."""


def head(axes: "Axes", start: Place, end: Place, color: str, *, width: float, size: float, **style: Any) -> None:
    """Draw a straight or bent line with a head of some size at its end."""
    from matplotlib.patches import FancyArrowPatch

    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle=f"-|>,head_length={size},head_width={size * 0.5}", mutation_scale=1, color=color,
            linewidth=width, shrinkA=0, shrinkB=0, **{"zorder": 4} | style,
        )
    )  # fmt: skip


def line(axes: "Axes", points: list[Place], color: str) -> None:
    """Draw a line through some points, with a head at its end."""
    if len(points) > 2:
        axes.plot(*zip(*points[:-1], strict=True), color=color, linewidth=1.1, zorder=2, solid_joinstyle="round")
    head(axes, points[-2], points[-1], color, width=1.1, size=5, zorder=2)


def wavy(start: Place, end: Place) -> list[Place]:
    """Bend a line as a flow does, and straighten it before its end."""
    (x, y), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
    length, steps = math.hypot(dx, dy), 48
    points = list[Place]()
    for i in range(steps + 1):
        along, off = 0.72 * i / steps, 3.5 * math.sin(2 * math.pi * i / 16) / length
        points.append((x + dx * along - dy * off, y + dy * along + dx * off))
    return [*points, end]


def _flow(axes: "Axes", x: float, y: float) -> None:
    """FAM: a field of small flow vectors."""
    for row in range(3):
        for column in range(6):
            turn = 0.9 * math.sin(column * 1.1 + row * 0.9)
            dx, dy = 6.5 * math.cos(turn), 6.5 * math.sin(turn)
            at = (x - 25 + column * 10 - dx / 2, y - 9 + row * 10 - dy / 2)
            head(axes, at, (at[0] + dx, at[1] + dy), COLORS["warped"], width=0.9, size=2.2)


def _mutual(channel: bool, spatial: bool) -> Callable[["Axes", float, float], None]:
    """MEU: the deep map above, the shallow one below, each multiplied by an attention that the other one gives."""

    def draw(axes: "Axes", x: float, y: float) -> None:
        for dy, color in ((9.5, COLORS["finer"]), (-9.5, COLORS["plain"])):
            axes.plot([x - 37, x + 18, x + 28], [y + dy, y + dy, y], color=color, linewidth=1.3, zorder=4)
        for wanted, side, name in ((channel, 1.0, "C"), (spatial, -1.0, "S")):
            if wanted:
                head(axes, (x - 24, y + side * 9.5), (x + 8.5, y - side * 6), COLORS["skip"], width=1.2, size=3)
                _mark(axes, (x - 24, y + side * 9.5), name)
                _mark(axes, (x + 12, y - side * 9.5), "x")
        _mark(axes, (x + 29, y), "+")

    return draw


def _mark(axes: "Axes", place: Place, mark: str) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle(place, 5, facecolor="white", edgecolor=INK, linewidth=0.7, zorder=5))
    axes.text(*place, mark, fontsize=7.5, ha="center", va="center_baseline", zorder=6)


GLYPHS: dict[str, Callable[["Axes", float, float], None]] = {
    "fam": _flow,
    **{
        f"meu:{which}": _mutual(which in ("both", "channel"), which in ("both", "spatial"))
        for which in ("both", "channel", "spatial", "none")
    },
}
"""By `Box.glyph`: draws around a centre."""
