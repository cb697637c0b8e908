"""What a picture of a topology consists of: boxes in columns and rows, and arrows between them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

IMAGE = -1
"""The row of the image and of the logits, below all levels."""
Kind = Literal["image", "encoder", "pool", "context", "convolution", "fusion", "sum", "dot", "head"]
"""Of a box. dot: a map that is handed on as it is; sum: two or more maps, added with or without weights."""
Way = Literal["plain", "finer", "warped", "coarser", "skip", "again", "beside", "decoder"]
"""Of an arrow. finer and coarser: to a map of another size; warped: resized along a flow field (SFNet's FAM).

skip: what entered a cell (BiFPN); again, beside: the last map and each stage's map of a network into the next one
(DFANet); decoder: a map that a later sum reads.
"""
Route = Literal["straight", "arc", "lane"]
"""lane: along the gap above its row, past what stands in it."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """One part of a network: ``level`` k has stride 2**k."""

    column: int
    level: int
    kind: Kind
    lines: tuple[str, ...] = ()
    glyph: str = ""
    """A small picture of the fusion inside its box: a row of `strokes.GLYPHS`, or none."""


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """One map on its way, from the box of one index to that of another."""

    start: int
    end: int
    way: Way = "plain"
    route: Route = "straight"


@dataclass
class Graph:
    """A picture in the making. ``maps`` are the boxes whose maps the next part reads, by level."""

    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    maps: dict[int, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What its signs mean."""
    tapped: bool = False
    """Whether levels are the stages that are handed on, whatever their strides: see `EncoderSpec.taps`."""

    @property
    def next_column(self) -> int:
        """The first column in which nothing stands."""
        return max((box.column for box in self.boxes), default=-1) + 1

    def add(self, kind: Kind, column: int, level: int, *lines: str, glyph: str = "") -> int:
        """Put a box there; return its index."""
        self.boxes.append(Box(column=column, level=level, kind=kind, lines=lines, glyph=glyph))
        return len(self.boxes) - 1

    def join(self, start: int, end: int, way: Way = "plain", route: Route = "straight") -> None:
        """Lead the map of one box into another."""
        self.arrows.append(Arrow(start=start, end=end, way=way, route=route))

    def follow(self, kind: Kind, column: int, level: int, *lines: str, glyph: str = "") -> int:
        """Put a box behind the level's map, whose place it takes; return its index."""
        box = self.add(kind, column, level, *lines, glyph=glyph)
        self.join(self.maps[level], box)
        self.maps[level] = box
        return box

    def over(self, levels: Iterable[int], kind: Kind, *lines: str) -> None:
        """Put one column of equal boxes behind some levels."""
        column = self.next_column
        for level in levels:
            self.follow(kind, column, level, *lines)
