"""Laws between parts. Each names the class whose construction needs it; each field's own law stands at the field."""

from collections.abc import Callable, Iterator
from typing import Protocol

from segsearch.spec.channels import encoder_levels, stage_inputs
from segsearch.spec.context import ContextSpec
from segsearch.spec.encoder import EncoderSpec
from segsearch.spec.neck import PyramidSpec, TopDownSpec


class Parts(Protocol):
    """What the rules look at: a network's spec, named by its parts since the spec itself stands above this file."""

    @property
    def encoder(self) -> EncoderSpec:
        """Stem and stages."""

    @property
    def pyramid(self) -> PyramidSpec:
        """Levels handed on."""

    @property
    def context(self) -> ContextSpec:
        """What looks at the coarsest level."""

    @property
    def neck(self) -> TopDownSpec:
        """How levels are fused."""


PROJECTING = frozenset({"meu", "up"})
"""Fusions that bring both maps to their width themselves; the others are handed maps of one width."""


def stem_lists_match(spec: Parts) -> Iterator[str]:
    """models.encoder.Stem: one stride per width."""
    widths, strides = spec.encoder.stem.widths, spec.encoder.stem.strides
    if len(widths) != len(strides):
        yield f"encoder.stem: {len(widths)} widths need as many strides, got {len(strides)}"


def one_rate_or_branches(spec: Parts) -> Iterator[str]:
    """models.blocks: a basic block takes one rate; fpe branches must share the inner width evenly."""
    for i, (stage, channels) in enumerate(zip(spec.encoder.stages, stage_inputs(spec.encoder), strict=True)):
        branches = len(stage.dilations)
        if stage.block != "fpe" and branches != 1:
            yield f"encoder.stages[{i}].dilations: a {stage.block} block takes one rate, got {branches}"
        for width in (channels, stage.width) if stage.block == "fpe" else ():
            if stage.expansion * width % branches:
                inner = f"{stage.expansion} x {width}"
                yield f"encoder.stages[{i}].dilations: {branches} branches must divide {inner} channels"


def long_skip_has_two_ends(spec: Parts) -> Iterator[str]:
    """models.encoder.Stage: a striding stage joins its first and last block, so it needs two."""
    for i, stage in enumerate(spec.encoder.stages):
        if stage.long_skip != "none" and stage.stride == 2 and stage.depth < 2:
            place = f"encoder.stages[{i}].depth"
            yield f"{place}: a striding stage with a long skip needs at least 2 blocks, got {stage.depth}"


def levels_exist(spec: Parts) -> Iterator[str]:
    """models.encoder.Encoder: finest is one of the encoder's own levels, and no stage lies beyond the coarsest."""
    finest, coarsest = spec.pyramid.finest, spec.pyramid.coarsest
    own = sorted(encoder_levels(spec.encoder))
    known = ", ".join(f"P{s.bit_length() - 1}" for s in own)
    if finest > coarsest:
        yield f"pyramid: finest <= coarsest must hold, got P{finest} and P{coarsest}"
    elif 2**finest not in own:
        yield f"pyramid.finest: P{finest} is not among the encoder's levels {known}"
    elif own[-1] > 2**coarsest:
        yield f"pyramid.coarsest: P{coarsest} leaves stages unused, the encoder goes on to {known.split(', ')[-1]}"
    elif any(2**level not in own and 2**level < own[-1] for level in range(finest, coarsest + 1)):
        yield f"encoder: skips a level between P{finest} and P{coarsest}, it has {known}"


def one_width_per_fusion(spec: Parts) -> Iterator[str]:
    """models.neck.TopDown: as many widths as fusions, all equal where the fusion adds maps without projecting them."""
    fusions, widths = spec.pyramid.coarsest - spec.pyramid.finest, spec.neck.widths
    if len(widths) != fusions:
        yield f"neck.widths: {fusions + 1} levels need {fusions} widths, got {len(widths)}"
    if spec.neck.fusion in PROJECTING or not widths:
        return
    if len(set(widths)) > 1:
        yield f"neck.widths: {spec.neck.fusion} adds maps of one width, got {sorted(set(widths))}"
    elif spec.context.kind != "none" and spec.context.width != widths[0]:
        yield f"context.width: {spec.neck.fusion} needs the neck's {widths[0]}, got {spec.context.width}"


RULES: tuple[Callable[[Parts], Iterator[str]], ...] = (
    stem_lists_match,
    one_rate_or_branches,
    long_skip_has_two_ends,
    levels_exist,
    one_width_per_fusion,
)
