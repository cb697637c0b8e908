"""The left of the picture: stem and stages by stride, levels that are pooled or widened, and the context."""

from collections.abc import Iterator
from itertools import groupby

from segsearch.report.topology.graph import IMAGE, Graph
from segsearch.spec.channels import encoder_levels, level_stages, own_levels, pooled_strides, stage_strides, stages_at
from segsearch.spec.context import (
    AsppSpec,
    ContextSpec,
    DenseAsppSpec,
    FcAttentionSpec,
    NonLocalSpec,
    PyramidPoolingSpec,
)
from segsearch.spec.encoder import AnyEncoder, EncoderSpec, StageSpec, TimmSpec
from segsearch.spec.network import NetworkSpec


def level_of(stride: int) -> int:
    """Return k of a stride 2**k."""
    return stride.bit_length() - 1


def add_encoder(graph: Graph, spec: NetworkSpec) -> None:
    """Draw image, encoder, and the levels that the neck is given."""
    scale = f" x {spec.input_scale:g}" if spec.input_scale != 1 else ""
    below = graph.add("image", 0, IMAGE, f"image{scale}")
    rows = _rows(spec.encoder)
    graph.tapped = isinstance(spec.encoder, EncoderSpec) and bool(spec.encoder.taps)
    if graph.tapped:
        graph.notes.append("Pk counts as 1/2^k")
    for level, lines in sorted(rows.items()):
        box = graph.maps[level] = graph.add("encoder", 0, level, *lines)
        graph.join(below, box)
        below = box
    pyramid = spec.pyramid
    graph.maps = {level: box for level, box in graph.maps.items() if level >= pyramid.finest}
    if pyramid.expand:
        column = graph.next_column
        for stride, width in own_levels(spec.encoder, pyramid).items():
            graph.follow("convolution", column, level_of(stride), f"1x1 {width}")
    if pyramid.at == "encoder":
        for stride in pooled_strides(spec.encoder, pyramid):
            below = graph.maps[level_of(stride) - 1]
            box = graph.add("pool", graph.boxes[below].column, level_of(stride), f"{pyramid.pool}-pool")
            graph.join(below, box)
            graph.maps[level_of(stride)] = box


def add_context(graph: Graph, spec: ContextSpec) -> None:
    """Draw what looks at the coarsest level."""
    if lines := tuple(_context(spec)):
        graph.follow("context", graph.next_column, max(graph.maps), *lines)


def stage_lines(stages: tuple[StageSpec, ...]) -> tuple[str, ...]:
    """Write stages for people: block, channels, number of blocks, dilations; equal neighbours in one line."""
    lines: list[str] = []
    for (words, rates, skip), run in groupby(stages, key=_alike):
        lines.append(f"{words} x{sum(stage.depth for stage in run)}{rates}")
        lines += [skip] if skip else []
    return tuple(lines)


def _alike(stage: StageSpec) -> tuple[str, str, str]:
    rates = "" if stage.dilations == (1,) else f", d {' '.join(map(str, stage.dilations))}"
    skip = {"none": "", "concat": "long skip (concat)", "add": "long skip (add)"}[stage.long_skip]
    return f"{stage.block.replace('_', ' ')} {stage.width}", rates, skip


def _rows(encoder: AnyEncoder) -> dict[int, tuple[str, ...]]:
    """Lines of the encoder's box at each of its levels."""
    if isinstance(encoder, TimmSpec):
        return {
            encoder.finest + i: (f"{encoder.name} {channels}" if i == 0 else str(channels),)
            for i, channels in enumerate(encoder.channels)
        }
    rows: dict[int, tuple[str, ...]] = {}
    finest = level_of(min(encoder_levels(encoder)))
    for level, line in _stem(encoder):
        at = min(level, finest) if encoder.taps else level
        rows[at] = (*rows.get(at, ()), line)
    for level, stages in _stages(encoder).items():
        rows[level] = (*rows.get(level, ()), *stage_lines(stages))
    if encoder.attention != "none":
        rows[max(rows)] = (*rows[max(rows)], "fc attention")
    return rows


def _stem(encoder: EncoderSpec) -> Iterator[tuple[int, str]]:
    level, widths = 0, dict[int, list[int]]()
    for width, stride in zip(encoder.stem.widths, encoder.stem.strides, strict=True):
        level += stride - 1
        widths.setdefault(level, []).append(width)
    for at, made in widths.items():
        yield at, f"stem {' '.join(map(str, made))}"
    if encoder.stem.pool != "none":
        yield level + 1, "max-pool"


def _stages(encoder: EncoderSpec) -> dict[int, tuple[StageSpec, ...]]:
    """Stages by level; of a tapped encoder, those up to each tap, whatever their strides."""
    if not encoder.taps:
        return {level_of(s): stages_at(encoder, s) for s in dict.fromkeys(stage_strides(encoder))}
    ends = {level_of(stride): tap + 1 for stride, tap in level_stages(encoder).items()}
    begins = (0, *ends.values())
    return {level: encoder.stages[begin:end] for (level, end), begin in zip(ends.items(), begins, strict=False)}


def _context(spec: ContextSpec) -> Iterator[str]:
    rates = ("PPM", "bins") if isinstance(spec, PyramidPoolingSpec) else ("DenseASPP", "d")
    if isinstance(spec, AsppSpec | PyramidPoolingSpec | DenseAsppSpec):
        name, what = ("ASPP", "d") if isinstance(spec, AsppSpec) else rates
        yield f"{name} {spec.width}"
        yield f"{what} {' '.join(map(str, spec.bins if isinstance(spec, PyramidPoolingSpec) else spec.rates))}"
    elif isinstance(spec, NonLocalSpec):
        yield f"non-local {spec.width}"
    elif isinstance(spec, FcAttentionSpec):
        yield f"fc attention {spec.hidden}"
