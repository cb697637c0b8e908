"""Which levels leave the encoder, and how a neck fuses them."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from segsearch.frozen import Frozen
from segsearch.spec.words import Level, Pool, Width

FusionName = Literal["fpn", "fam", "meu", "up"]
Weights = Literal["softmax", "relu", "plain"]
"""How a sum weighs its maps: by one learnt number each, made positive by softmax or ReLU, or not at all."""
Path = Literal["down", "up"]


class PyramidSpec(Frozen):
    """Which levels leave the encoder; Pk has stride 2**k. Levels beyond the encoder's own are pooled, stride 2."""

    finest: Level
    coarsest: Level
    pool: Pool = "avg"
    """3x3 pooling of the encoder's last level, for those it pools."""
    at: Literal["encoder", "neck"] = "encoder"
    """Where levels are pooled: from the encoder's last map, or inside the neck, behind a 1x1 of its own (SGCPNet)."""
    expand: tuple[Width, ...] = ()
    """Widths of a bare 1x1 on each of the encoder's levels, finest first (SGCPNet's high-dimension features)."""


class TopDownSpec(Frozen):
    """A top-down fold of one pair fusion, deep into shallow."""

    kind: Literal["topdown"] = "topdown"
    fusion: FusionName
    widths: tuple[Width, ...]
    """Width after each fusion, finest level first: one fewer than there are levels."""
    smooth: bool = False
    """A 3x3 convolution on each fused level that the head reads."""
    warps: tuple[Level, ...] | None = None
    """fam: the levels that are warped onto; the others take a plain resize (SFNet, table 2). None: all."""
    attention: Literal["both", "channel", "spatial", "none"] = "both"
    """meu: which of its two attentions weigh the maps (FPENet, table 6)."""
    code: Literal["paper", "xiaoyufenfei"] = "paper"
    """meu: whose reading. xiaoyufenfei: a public one, whose attentions are gates and whose 1x1 carry BatchNorm."""
    style: Literal["sfnet", "eseg"] = "sfnet"
    """fpn: laterals with bias and ReLU below the coarsest level, bilinear sums; or, as in ESeg's rows of table 2, bare
    1x1 with BatchNorm on every level, sums by nearest neighbour, and a smoothing without ReLU on every level."""


class BidirectionalSpec(Frozen):
    """Paths over all levels, each node a weighted sum, an activation and a separable 3x3 (BiFPN; SGCPNet's SGCP)."""

    kind: Literal["bidirectional"]
    width: Width
    paths: Annotated[tuple[Path, ...], Field(min_length=1, max_length=8)] = ("down", "up")
    """Of one cell, in turns, the first one down. An up path sees the cell's input again beside what comes to it."""
    repeats: Annotated[int, Field(ge=1, le=16)] = 1
    """Cells."""
    weights: Weights = "softmax"
    pool: Pool = "max"
    """Of the way up to a coarser level, and of levels that the neck pools."""
    pool_kernel: Literal[3, 5] = 3
    separate_skips: bool = False
    """The first up path reads the encoder's inner levels through a second 1x1 of its own (SGCPNet's code)."""
    bias: bool = False
    """Biases in 1x1 convolutions, beside their BatchNorm (SGCPNet's code)."""
    norm_eps: Annotated[float, Field(gt=0, le=0.1)] = 1e-3
    smooth: bool = False


class AggregateSpec(Frozen):
    """The encoder's stages again, network after network, each reading the last one's maps (DFANet, section 3)."""

    kind: Literal["aggregate"]
    networks: Annotated[int, Field(ge=1, le=4)] = 3
    """The encoder itself is the first."""
    decoder: Literal["none", "high", "both"] = "both"
    """none: the last network's last map. high: the sum of all networks' last maps, at the size of the encoder's. both:
    and of their first maps, at the size of the finest level."""
    width: Width = 32
    """Of the decoder."""
    smooth: bool = False
    code: Literal["paper", "huaifeng1993"] = "paper"
    """Whose reading. huaifeng1993: a public one; what differs stands at `models.necks.aggregate`."""


class SkipSpec(Frozen):
    """The coarsest level beside a narrowed finest one, then separable 3x3s (DeepLabV3+, figure 2; ESeg, table 8)."""

    kind: Literal["skip"]
    low: Width = 48
    """Channels left of the finest level."""
    width: Width = 256
    smooth: bool = False


def kind(data: Any) -> object:
    """Word that tells necks apart: ``topdown`` where there is none."""
    return data.get("kind", "topdown") if isinstance(data, dict) else getattr(data, "kind", None)


NeckSpec = Annotated[
    Annotated[TopDownSpec, Tag("topdown")]
    | Annotated[BidirectionalSpec, Tag("bidirectional")]
    | Annotated[AggregateSpec, Tag("aggregate")]
    | Annotated[SkipSpec, Tag("skip")],
    Discriminator(kind),
]
