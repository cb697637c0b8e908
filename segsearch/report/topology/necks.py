"""The right of the picture: the neck's paths and fusions by level, and the head. A new neck gets a row in `DRAWN`."""

from collections.abc import Callable
from typing import Any

from segsearch.report.topology.encoder import level_of, stage_lines
from segsearch.report.topology.graph import IMAGE, Graph, Kind
from segsearch.spec.channels import pooled_strides, pyramid_levels, stages_at
from segsearch.spec.context import context_width
from segsearch.spec.encoder import EncoderSpec
from segsearch.spec.neck import AggregateSpec, BidirectionalSpec, SkipSpec, TopDownSpec
from segsearch.spec.neck_rules import PROJECTING
from segsearch.spec.network import NetworkSpec
from segsearch.spec.reruns import staged

FUSED = {"fpn": "+", "fam": "FAM", "meu": "MEU", "up": "1x1"}
"""Names of fusions in the picture; a new one is shown by its own name."""


def add_neck(graph: Graph, spec: NetworkSpec) -> None:
    """Draw the neck, and what smooths the levels that the head reads."""
    DRAWN[spec.neck.kind](graph, spec, spec.neck)
    if spec.head.kind == "plain":
        graph.maps = {min(graph.maps): graph.maps[min(graph.maps)]}
    if spec.neck.smooth:
        neck = spec.neck
        whole = not isinstance(neck, TopDownSpec) or neck.style == "eseg" or len(graph.maps) == 1
        graph.over(sorted(graph.maps)[: None if whole else -1], "convolution", "3x3")


def add_head(graph: Graph, spec: NetworkSpec) -> None:
    """Draw the head at the finest level, and the logits in the image's row."""
    head, finest, column = spec.head, min(graph.maps), graph.next_column
    lines: tuple[str, ...] = ("classify",)
    if head.kind == "concat":
        lines = ("concat", f"3x3 {head.width}", "classify")
    elif head.kind == "weighted":
        lines = (f"sum {head.width}", *(("sep 3x3",) if head.conv == "separable" else ()), "classify")
    box = graph.add("head", column, finest, *lines)
    for level in sorted(graph.maps):
        graph.join(graph.maps[level], box, "plain" if level == finest else "finer")
    logits = graph.add("image", column, IMAGE, "logits")
    graph.join(box, logits)


def _topdown(graph: Graph, spec: NetworkSpec, neck: TopDownSpec) -> None:
    given = {level_of(s): width for s, width in pyramid_levels(spec.encoder, spec.pyramid).items()}
    coarsest = max(given)
    given[coarsest] = context_width(spec.context) or given[coarsest]
    shallow = sorted(given)[:-1]
    if shallow and neck.fusion not in PROJECTING:
        width, column = neck.widths[0], graph.next_column
        for level in given if neck.style == "eseg" or given[coarsest] != width else shallow:
            graph.follow("convolution", column, level, f"1x1 {width}")
    column = graph.next_column
    if shallow:
        graph.follow("dot", column, coarsest)
        graph.notes += _notes(neck)
    for level in reversed(shallow):
        warped = neck.fusion == "fam" and (neck.warps is None or level in neck.warps)
        plain = neck.fusion == "fpn" or (neck.fusion == "fam" and not warped)
        width = neck.widths[level - shallow[0]]
        name = FUSED.get(neck.fusion, neck.fusion)
        above = graph.maps[level + 1]
        kind: Kind = "sum" if plain else "fusion"
        text = ("+",) if plain else (name if neck.fusion == "fam" else f"{name} {width}",)
        box = graph.follow(kind, column, level, *text, glyph="" if plain else _glyph(neck))
        graph.join(above, box, "warped" if warped else "finer")


def _notes(neck: TopDownSpec) -> list[str]:
    if neck.fusion != "meu":
        return []
    of = {"channel": "C  channel attention of the deep map", "spatial": "S  spatial attention of the shallow map"}
    return [note for name, note in of.items() if neck.attention in ("both", name)]


def _glyph(neck: TopDownSpec) -> str:
    """Name the picture of a fusion; few have one."""
    return {"meu": f"meu:{neck.attention}", "fam": "fam"}.get(neck.fusion, "")


def _bidirectional(graph: Graph, spec: NetworkSpec, neck: BidirectionalSpec) -> None:
    column, last = graph.next_column, graph.maps[max(graph.maps)]
    own = sorted(graph.maps)
    pooled = [level_of(s) for s in pooled_strides(spec.encoder, spec.pyramid)] if spec.pyramid.at == "neck" else []
    skipped = own[1:] if pooled else own[1:-1]
    for level in own:
        twice = ", twice" if neck.separate_skips and level in skipped else ""
        graph.follow("convolution", column, level, f"1x1 {neck.width}{twice}")
    for level in pooled:
        first = level == pooled[0]
        box = graph.add("pool", column, level, f"{'1x1, ' if first else ''}{neck.pool}-pool")
        graph.join(last, box)
        last = graph.maps[level] = box
    paths = list(neck.paths * neck.repeats)
    if spec.head.kind == "plain" and paths[-1] == "up":
        paths.pop()
    entered = dict(graph.maps)
    mark = "+" if neck.weights == "plain" else "Σ"
    graph.notes.append(f"{mark}  {'' if mark == '+' else 'weighted '}sum, then a separable 3x3")
    for i, path in enumerate(paths):
        if i and i % len(neck.paths) == 0:
            entered = dict(graph.maps)
        _path(graph, path == "down", entered, mark)


def _path(graph: Graph, down: bool, entered: dict[int, int], mark: str) -> None:
    """Draw one path over all levels; nodes of an up path read the cell's input again, all but the coarsest."""
    column, order = graph.next_column, sorted(graph.maps, reverse=down)
    inputs = dict(graph.maps)
    before = graph.follow("dot", column, order[0])
    for level in order[1:]:
        box = graph.follow("sum", column, level, mark)
        graph.join(before, box, "finer" if down else "coarser")
        if not down and level != order[-1] and entered[level] != inputs[level]:
            graph.join(entered[level], box, "skip", "arc")
        before = box


def _aggregate(graph: Graph, spec: NetworkSpec, neck: AggregateSpec) -> None:
    """Draw the networks side by side, each a level higher than the one before, as its maps are half as large."""
    encoder, coarsest, finest = spec.encoder, max(graph.maps), min(graph.maps)
    assert isinstance(encoder, EncoderSpec), "the spec's rules leave timm's out"
    strides = staged(encoder, tuple(1 << level for level in graph.maps))
    maps = [graph.maps[level_of(stride)] for stride in strides]
    last, lasts, firsts = graph.maps[coarsest], [graph.maps[coarsest]], [graph.maps[finest]]
    for network in range(1, neck.networks):
        column, made = graph.next_column, list[int]()
        for stride, beside in zip(strides, maps, strict=True):
            lines = stage_lines(stages_at(encoder, stride))
            if stride == strides[-1] and encoder.attention != "none":
                lines = (*lines, "fc attention")
            box = graph.add("encoder", column, level_of(stride) + network, *lines)
            graph.join(made[-1] if made else last, box, "plain" if made else "again")
            if len(strides) > 1:
                graph.join(beside, box, "beside")
            made.append(box)
        maps, last = made, made[-1]
        lasts.append(last)
        firsts.append(made[0])
    graph.maps = {graph.boxes[last].level: last}
    if neck.decoder != "none":
        _decoder(graph, neck, firsts, lasts)


def _decoder(graph: Graph, neck: AggregateSpec, firsts: list[int], lasts: list[int]) -> None:
    column, width = graph.next_column, f"Σ 1x1 {neck.width}"
    high = graph.add("fusion", column + 1, graph.boxes[lasts[0]].level, width)
    for last in lasts:
        past = any(
            b.level == graph.boxes[last].level and b.column > graph.boxes[last].column for b in graph.boxes[:high]
        )
        graph.join(last, high, "decoder", "lane" if past else "straight")
    graph.maps = {graph.boxes[high].level: high}
    if neck.decoder == "high":
        return
    finest = graph.boxes[firsts[0]].level
    low = graph.add("fusion", column, finest, width, "3x3")
    for first in firsts:
        graph.join(first, low, "decoder")
    added = graph.add("sum", column + 2, finest, "+")
    graph.join(low, added)
    graph.join(high, added, "decoder")
    graph.maps = {finest: added}


def _skip(graph: Graph, spec: NetworkSpec, neck: SkipSpec) -> None:
    finest, coarsest = min(graph.maps), max(graph.maps)
    deep, column = graph.maps[coarsest], graph.next_column
    if finest < coarsest:
        graph.follow("convolution", column, finest, f"1x1 {neck.low}")
        graph.follow("fusion", column + 1, finest, "concat")
        graph.join(deep, graph.maps[finest], "finer")
    box = graph.follow("convolution", graph.next_column, finest, "2 x sep", f"3x3 {neck.width}")
    graph.maps = {finest: box}


DRAWN: dict[str, Callable[[Graph, NetworkSpec, Any], None]] = {
    "topdown": _topdown,
    "bidirectional": _bidirectional,
    "aggregate": _aggregate,
    "skip": _skip,
}
