"""What an encoder is described by: stem and stages, every width explicit."""

from typing import Annotated, Literal

from pydantic import Field

from segsearch.frozen import Frozen
from segsearch.spec.words import Rate, Stride, Width

BlockName = Literal["basic", "fpe"]


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
