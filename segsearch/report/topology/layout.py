"""Where a graph's boxes, arrows and legend stand: sizes by their texts, in points."""

import math
from dataclasses import dataclass
from functools import cache

from segsearch.report.topology.graph import IMAGE, Arrow, Box, Graph, Way

FONT = 9.5
LINE, PAD, RADIUS, DOT = 14.0, 5.0, 9.0, 2.5
COLUMN_GAP, ROW_GAP, LEFT, MARGIN, LEAST_WIDTH = 20.0, 19.0, 34.0, 8.0, 430.0
"""Points, of which a picture of 700 shows nearly as many pixels."""
GLYPH, KEY = (78.0, 34.0), 26.0
"""Room for a fusion's picture, and for an arrow in the legend, in points."""


TOLD: dict[Way, str] = {
    "finer": "coarse to fine, resized",
    "warped": "coarse to fine, along a learnt flow",
    "coarser": "fine to coarse, pooled",
    "skip": "what entered the cell",
    "again": "last map into the next network",
    "beside": "each stage's map into the next network",
    "decoder": "into the decoder",
}
Place = tuple[float, float]
Entry = tuple[str, Way | None, int, float]
"""Of the legend: text, the arrow it explains, its line, and where it begins."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where everything stands, in points from the lower left corner."""

    width: float
    height: float
    places: tuple[Place, ...]
    """Centres of the boxes."""
    sizes: tuple[Place, ...]
    rows: dict[int, Place]
    """Lower and upper end of each level's row."""
    tapped: bool
    legend: list[Entry]


def plan(graph: Graph) -> Plan:
    """Size boxes by their texts, columns and rows by their boxes, and place all of them."""
    sizes = tuple(map(_size, graph.boxes))
    columns = _columns(graph.boxes, sizes)
    width = max(max(right for _, right in columns.values()) + MARGIN, LEAST_WIDTH)
    legend = _legend(graph, width)
    rows = _rows(graph, sizes, bottom=MARGIN + LINE * (1 + max((entry[2] for entry in legend), default=-1)))
    return Plan(
        width=width,
        height=max(top for _, top in rows.values()) + LINE + 2 * MARGIN,
        places=tuple((sum(columns[box.column]) / 2, sum(rows[box.level]) / 2) for box in graph.boxes),
        sizes=sizes,
        rows=rows,
        tapped=graph.tapped,
        legend=legend,
    )


def _columns(boxes: list[Box], sizes: tuple[Place, ...]) -> dict[int, Place]:
    """Left and right end of each column."""
    x, columns = LEFT + MARGIN, dict[int, Place]()
    for column in sorted({box.column for box in boxes}):
        width = max(size[0] for box, size in zip(boxes, sizes, strict=True) if box.column == column)
        columns[column] = (x, x + width)
        x += width + COLUMN_GAP
    return columns


def _rows(graph: Graph, sizes: tuple[Place, ...], *, bottom: float) -> dict[int, Place]:
    """Lower and upper end of each row; a flow needs room to be seen."""
    gap, rows = (2 if any(arrow.way == "warped" for arrow in graph.arrows) else 1) * ROW_GAP, dict[int, Place]()
    for level in sorted({box.level for box in graph.boxes}):
        height = max(size[1] for box, size in zip(graph.boxes, sizes, strict=True) if box.level == level)
        rows[level] = (bottom, bottom + height + (ROW_GAP if level == IMAGE else gap))
        bottom = rows[level][1]
    return rows


def _size(box: Box) -> Place:
    if box.kind in ("dot", "sum"):
        side = 2 * (DOT if box.kind == "dot" else RADIUS)
        return side, side
    glyph = GLYPH if box.glyph else (0.0, 0.0)
    width = max(*map(_text_width, box.lines), glyph[0])
    return width + 2 * PAD, len(box.lines) * LINE + glyph[1] + PAD


@cache
def _text_width(text: str) -> float:
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), text, size=FONT).get_extents().width) + 1


def route(graph: Graph, plan: Plan, arrow: Arrow) -> list[Place]:
    """Return the corners of an arrow, from the edge of one box to the edge of the other."""
    start, end = graph.boxes[arrow.start], graph.boxes[arrow.end]
    (x, y), (width, height) = plan.places[arrow.start], plan.sizes[arrow.start]
    (to_x, to_y), (to_width, to_height) = plan.places[arrow.end], plan.sizes[arrow.end]
    side = math.copysign(1, to_y - y)
    right, onto = (x + width / 2, y), (to_x, to_y - side * to_height / 2)
    if arrow.route == "arc":
        return [(x + width / 2, y - height / 4), (to_x - to_width * 0.4, to_y - to_height * 0.4)]
    if start.column == end.column:
        return [(x, y + side * height / 2), onto]
    if arrow.route == "lane":
        lane = plan.rows[start.level][1]
        return [(x, y + height / 2), (x, lane), (to_x, lane), (to_x, to_y + to_height / 2)]
    if start.level != end.level and arrow.way in ("finer", "decoder"):
        return [right, (to_x, y), onto]
    return [right, (to_x - to_width / 2, to_y)]


def _legend(graph: Graph, width: float) -> list[Entry]:
    """Say what arrows and signs mean, in as many lines as it takes."""
    used = {arrow.way for arrow in graph.arrows}
    told: list[tuple[str, Way | None]] = [(text, way) for way, text in TOLD.items() if way in used]
    told += [(note, None) for note in graph.notes]
    entries, x, row = list[Entry](), LEFT, 0
    for text, way in told:
        needed = _text_width(text) + (KEY if way else 0)
        if x > LEFT and x + needed > width - MARGIN:
            x, row = LEFT, row + 1
        entries.append((text, way, row, x))
        x += needed + COLUMN_GAP
    return entries
