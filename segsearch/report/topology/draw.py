"""From a graph to an SVG: sizes of columns and rows by their texts, then boxes and arrows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segsearch.report.canvas import INK, canvas, write_svg
from segsearch.report.topology.encoder import add_context, add_encoder
from segsearch.report.topology.graph import IMAGE, Arrow, Box, Graph
from segsearch.report.topology.layout import FONT, GLYPH, KEY, LEFT, LINE, MARGIN, PAD, Entry, Place, Plan, plan, route
from segsearch.report.topology.necks import add_head, add_neck
from segsearch.report.topology.strokes import COLORS, GLYPHS, head, line, wavy
from segsearch.spec.network import NetworkSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILLS = {
    "image": "#eceff1",
    "encoder": "#d3e8f7",
    "pool": "#ffffff",
    "context": "#f3d9e8",
    "convolution": "#fbeecb",
    "fusion": "#f9dfa6",
    "sum": "#f9dfa6",
    "dot": INK,
    "head": "#cdebe0",
}


def topology(spec: NetworkSpec) -> Graph:
    """Boxes and arrows of a network."""
    graph = Graph()
    add_encoder(graph, spec)
    add_context(graph, spec.context)
    add_neck(graph, spec)
    add_head(graph, spec)
    return graph


def draw_topology(spec: NetworkSpec, path: Path, *, title: str) -> None:
    """Draw a network as an SVG with its text as shapes; equal specs give equal bytes under one matplotlib.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    graph = topology(spec)
    placed = plan(graph)
    with canvas(placed.width / 72, placed.height / 72, font_points=FONT) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, placed.width), ylim=(0, placed.height))
        axes.set_axis_off()
        _rows(axes, placed)
        axes.text(LEFT, placed.height - MARGIN, title, fontweight="bold", va="top")
        for arrow in graph.arrows:
            _arrow(axes, arrow, route(graph, placed, arrow))
        for box, place, size in zip(graph.boxes, placed.places, placed.sizes, strict=True):
            _box(axes, box, place, size)
        _legend(axes, placed.legend)
        write_svg(figure, path, title=title)


def _rows(axes: "Axes", plan: Plan) -> None:
    """Shade every other level, and write its stride."""
    for i, (level, (low, high)) in enumerate(plan.rows.items()):
        if i % 2:
            axes.axhspan(low, high, color="#f5f7f8", zorder=0)
        if level != IMAGE:
            axes.text(
                MARGIN / 2,
                (low + high) / 2,
                f"P{level}" if plan.tapped else f"1/{2**level}",
                va="center",
                color="#52606d",
            )


def _box(axes: "Axes", box: Box, place: Place, size: Place) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch

    (x, y), (width, height) = place, size
    style: dict[str, Any] = {"facecolor": FILLS[box.kind], "edgecolor": INK, "linewidth": 0.8, "zorder": 3}
    if box.kind in ("dot", "sum"):
        axes.add_patch(Circle(place, width / 2, **style))
        if box.kind == "sum":
            axes.text(x, y, box.lines[0], ha="center", va="center_baseline", zorder=4)
        return
    corner = (x - width / 2, y - height / 2)
    if box.kind == "pool":
        style["linestyle"] = (0, (3, 2))
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=3", **style))
    top = y + height / 2 - PAD / 2
    for i, text in enumerate(box.lines):
        axes.text(x, top - (i + 0.5) * LINE, text, ha="center", va="center_baseline", zorder=4)
    if draw := GLYPHS.get(box.glyph):
        draw(axes, x, y - height / 2 + PAD / 2 + GLYPH[1] / 2)


def _arrow(axes: "Axes", arrow: Arrow, points: list[Place]) -> None:
    color = COLORS[arrow.way]
    if arrow.route == "arc":
        start, end = points
        bow = {"connectionstyle": f"arc3,rad={0.22 if end[0] - start[0] < 90 else 0.12}"}
        head(axes, start, end, color, width=1.1, size=5, zorder=2, **bow)
        return
    line(axes, wavy(*points) if arrow.way == "warped" else points, color)


def _legend(axes: "Axes", legend: list[Entry]) -> None:
    lines = max((row for _, _, row, _ in legend), default=0)
    for text, way, row, x in legend:
        y = MARGIN + (lines - row) * LINE
        if way is not None:
            line(axes, wavy((x, y), (x + KEY - 5, y)) if way == "warped" else [(x, y), (x + KEY - 5, y)], COLORS[way])
        axes.text(x + (KEY if way else 0), y, text, va="center_baseline", color=INK)
