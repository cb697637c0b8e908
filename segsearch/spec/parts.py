"""The parts a network is described by. A field stands here only if it changes what is deployed."""

from typing import Annotated, Literal

from pydantic import Field

from segsearch.frozen import Frozen

Width = Annotated[int, Field(ge=1, le=8192)]
Stride = Annotated[int, Field(ge=1, le=2)]
Rate = Annotated[int, Field(ge=1, le=64)]
Level = Annotated[int, Field(ge=1, le=9)]

BlockName = Literal["basic", "fpe"]
FusionName = Literal["fpn", "fam", "meu", "up"]


class StemSpec(Frozen):
    """The 3x3 convolutions an encoder opens with, and the max-pool behind them."""

    widths: Annotated[tuple[Width, ...], Field(min_length=1)]
    strides: Annotated[tuple[Stride, ...], Field(min_length=1)]
    pool: Literal["none", "floor", "ceil"] = "none"
    """3x3 stride-2 max-pool, named by how it rounds odd sizes: SFNet's FLOPs need `ceil`, its released code `floor`."""


class StageSpec(Frozen):
    """A run of blocks of one shape; only the first block strides."""

    block: BlockName
    depth: Annotated[int, Field(ge=1, le=64)]
    width: Width
    stride: Stride
    expansion: Annotated[int, Field(ge=1, le=8)] = 1
    """Inner width of an fpe block over its input width."""
    dilations: Annotated[tuple[Rate, ...], Field(min_length=1)] = (1,)
    """basic: one rate, of the block's second 3x3; fpe: one rate per branch."""
    cascade: bool = True
    """fpe: each branch adds its output to the next one's input."""
    long_skip: Literal["none", "concat"] = "none"
    """concat: the stage returns its first and last map of its own resolution, side by side (FPENet, section 3.1)."""


class EncoderSpec(Frozen):
    """Stem and stages, every width explicit."""

    stem: StemSpec
    stages: Annotated[tuple[StageSpec, ...], Field(min_length=1)]


class PyramidSpec(Frozen):
    """Which levels leave the encoder; Pk has stride 2**k. Levels beyond the encoder's own are pooled, 3x3 stride 2."""

    finest: Level
    coarsest: Level
    pool: Literal["avg", "max"] = "avg"


class NoContext(Frozen):
    """The coarsest level goes to the neck as it is."""

    kind: Literal["none"] = "none"


class PyramidPoolingSpec(Frozen):
    """Pyramid pooling on the coarsest level (PSPNet's PPM as SFNet uses it)."""

    kind: Literal["ppm"]
    width: Width
    bins: Annotated[tuple[Rate, ...], Field(min_length=1)] = (1, 2, 3, 6)


ContextSpec = Annotated[NoContext | PyramidPoolingSpec, Field(discriminator="kind")]


class TopDownSpec(Frozen):
    """A top-down fold of one pair fusion, deep into shallow."""

    kind: Literal["topdown"] = "topdown"
    fusion: FusionName
    widths: tuple[Width, ...]
    """Width after each fusion, finest level first: one fewer than there are levels."""
    smooth: bool = False
    """A 3x3 convolution on each fused level that the head reads."""


class PlainHead(Frozen):
    """1x1 classifier on the finest level."""

    kind: Literal["plain"]


class ConcatHead(Frozen):
    """All levels upsampled to the finest, concatenated, one 3x3, then the 1x1 classifier (SFNet, figure 4)."""

    kind: Literal["concat"]
    width: Width


HeadSpec = Annotated[PlainHead | ConcatHead, Field(discriminator="kind")]
