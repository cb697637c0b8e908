"""Laws between parts. Each names the class whose construction needs it; each field's own law stands at the field."""

from collections.abc import Callable, Iterator
from typing import Protocol

from segsearch.spec.channels import encoder_levels, stage_inputs
from segsearch.spec.context import ContextSpec
from segsearch.spec.encoder import AnyEncoder, EncoderSpec, StageSpec
from segsearch.spec.neck import NeckSpec, PyramidSpec
from segsearch.spec.neck_rules import neck_complaints


class Parts(Protocol):
    """What the rules look at: a network's spec, named by its parts since the spec itself stands above this file."""

    @property
    def encoder(self) -> AnyEncoder:
        """Stem and stages, or an encoder of timm's."""

    @property
    def pyramid(self) -> PyramidSpec:
        """Levels handed on."""

    @property
    def context(self) -> ContextSpec:
        """What looks at the coarsest level."""

    @property
    def neck(self) -> NeckSpec:
        """How levels are fused."""


READERS = {
    "kernel": frozenset({"conv", "fused", "mbconv", "mobile", "separable", "separable_biased"}),
    "expansion": frozenset({"fpe", "fpe_projected", "fused", "mbconv", "mobile"}),
    "inner": frozenset({"bottleneck", "fused", "mbconv", "mobile", "separable", "separable_biased"}),
    "squeeze": frozenset({"fused", "mbconv", "mobile"}),
    "padding": frozenset({"fused", "mbconv", "mobile"}),
    "cascade": frozenset({"fpe", "fpe_projected"}),
}
"""Blocks that read a field of their stage; every block reads the others."""


def stem_lists_match(encoder: EncoderSpec) -> Iterator[str]:
    """models.encoder.Stem: one stride per width."""
    widths, strides = encoder.stem.widths, encoder.stem.strides
    if len(widths) != len(strides):
        yield f"encoder.stem: {len(widths)} widths need as many strides, got {len(strides)}"


def one_rate_or_branches(encoder: EncoderSpec) -> Iterator[str]:
    """models.blocks: a basic block takes one rate; fpe branches must share the inner width evenly."""
    for i, (stage, channels) in enumerate(zip(encoder.stages, stage_inputs(encoder), strict=True)):
        branches, branched = len(stage.dilations), stage.block in READERS["cascade"]
        if not branched and branches != 1:
            yield f"encoder.stages[{i}].dilations: a {stage.block} block takes one rate, got {branches}"
        for width in (channels, stage.width) if branched else ():
            if stage.expansion * width % branches:
                inner = f"{stage.expansion} x {width}"
                yield f"encoder.stages[{i}].dilations: {branches} branches must divide {inner} channels"


def halves_are_even(encoder: EncoderSpec) -> Iterator[str]:
    """models.blocks.shuffle: its two halves are equally wide."""
    for i, stage in enumerate(encoder.stages):
        if stage.block == "shuffle" and stage.width % 2:
            yield f"encoder.stages[{i}].width: a shuffle block has two equal halves, got {stage.width}"


def blocks_read_their_fields(encoder: EncoderSpec) -> Iterator[str]:
    """models.blocks: a field that a block does not read keeps its default, so that one network has one id."""
    for i, stage in enumerate(encoder.stages):
        for field, readers in READERS.items():
            if stage.block not in readers and getattr(stage, field) != StageSpec.model_fields[field].default:
                yield f"encoder.stages[{i}].{field}: a {stage.block} block has none, only {', '.join(sorted(readers))}"


def taps_are_stages(encoder: EncoderSpec) -> Iterator[str]:
    """models.encoder.Encoder: tapped stages exist, in order, and nothing is built behind the last one."""
    taps, last = encoder.taps, len(encoder.stages) - 1
    if taps and (list(taps) != sorted(set(taps)) or taps[-1] != last):
        yield f"encoder.taps: must be rising indices of stages that end with {last}, got {list(taps)}"


def long_skip_has_two_ends(encoder: EncoderSpec) -> Iterator[str]:
    """models.encoder.Stage: a striding stage joins its first and last block, so it needs two."""
    for i, stage in enumerate(encoder.stages):
        if stage.long_skip != "none" and stage.stride == 2 and stage.depth < 2:
            place = f"encoder.stages[{i}].depth"
            yield f"{place}: a striding stage with a long skip needs at least 2 blocks, got {stage.depth}"


def long_skip_adds_one_width(encoder: EncoderSpec) -> Iterator[str]:
    """models.encoder.Stage: what a long skip adds up must be equally wide."""
    for i, (stage, channels) in enumerate(zip(encoder.stages, stage_inputs(encoder), strict=True)):
        if stage.long_skip == "add" and stage.stride == 1 and stage.width != channels:
            yield f"encoder.stages[{i}].width: a long skip adds {channels} channels to it, got {stage.width}"


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


def neck_fits_its_levels(spec: Parts) -> Iterator[str]:
    """models.necks: see spec.neck_rules."""
    yield from neck_complaints(spec.encoder, spec.pyramid, spec.context, spec.neck)


STAGE_RULES: tuple[Callable[[EncoderSpec], Iterator[str]], ...] = (
    stem_lists_match,
    one_rate_or_branches,
    halves_are_even,
    blocks_read_their_fields,
    taps_are_stages,
    long_skip_has_two_ends,
    long_skip_adds_one_width,
)


def stages_are_sound(spec: Parts) -> Iterator[str]:
    """models.encoder.Encoder: what stem and stages must keep among themselves."""
    if isinstance(spec.encoder, EncoderSpec):
        for rule in STAGE_RULES:
            yield from rule(spec.encoder)


RULES: tuple[Callable[[Parts], Iterator[str]], ...] = (stages_are_sound, levels_exist, neck_fits_its_levels)
