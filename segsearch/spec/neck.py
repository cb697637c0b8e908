"""Which levels leave the encoder, and how a neck fuses them."""

from typing import Literal

from segsearch.frozen import Frozen
from segsearch.spec.words import Level, Pool, Width

FusionName = Literal["fpn", "fam", "meu", "up"]


class PyramidSpec(Frozen):
    """Which levels leave the encoder; Pk has stride 2**k. Levels beyond the encoder's own are pooled, 3x3 stride 2."""

    finest: Level
    coarsest: Level
    pool: Pool = "avg"


class TopDownSpec(Frozen):
    """A top-down fold of one pair fusion, deep into shallow."""

    kind: Literal["topdown"] = "topdown"
    fusion: FusionName
    widths: tuple[Width, ...]
    """Width after each fusion, finest level first: one fewer than there are levels."""
    smooth: bool = False
    """A 3x3 convolution on each fused level that the head reads."""
