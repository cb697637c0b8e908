"""What looks at the coarsest level as a whole."""

from typing import Annotated, Literal

from pydantic import Field

from segsearch.frozen import Frozen
from segsearch.spec.words import Rate, Width

Rates = Annotated[tuple[Rate, ...], Field(min_length=1)]


class NoContext(Frozen):
    """The coarsest level goes to the neck as it is."""

    kind: Literal["none"] = "none"


class PyramidPoolingSpec(Frozen):
    """Pyramid pooling on the coarsest level (PSPNet's PPM as SFNet uses it)."""

    kind: Literal["ppm"]
    width: Width
    bins: Rates = (1, 2, 3, 6)


class AsppSpec(Frozen):
    """Atrous spatial pyramid pooling (DeepLabv3, section 3.3; SFNet table 3, DFANet table 2, ESeg table 8)."""

    kind: Literal["aspp"]
    width: Width
    rates: Rates = (6, 12, 18)
    inner: Width | None = None
    """Width of every branch before a 1x1 joins them. Without it the dilated branches, at ``width``, are summed."""


class DenseAsppSpec(Frozen):
    """Dilated convolutions that each read the map and all before them (DenseASPP, figure 3; SFNet table 3)."""

    kind: Literal["denseaspp"]
    width: Width
    inner: Width
    """Width between a block's 1x1 and its dilated 3x3."""
    growth: Width
    """Channels that each block adds."""
    rates: Rates = (3, 6, 12, 18, 24)


class NonLocalSpec(Frozen):
    """Every place looks at every other (Non-local Neural Networks, figure 2; SFNet table 3)."""

    kind: Literal["nonlocal"]
    width: Width
    entry: Width
    """Width of the map that attends to itself."""
    inner: Width
    """Width of queries, keys and values."""


class FcAttentionSpec(Frozen):
    """Channels weighed by what the whole image shows (DFANet, section 3.2); the map keeps its channels."""

    kind: Literal["fc"]
    hidden: Width = 1000


ContextSpec = Annotated[
    NoContext | PyramidPoolingSpec | AsppSpec | DenseAsppSpec | NonLocalSpec | FcAttentionSpec,
    Field(discriminator="kind"),
]


def context_width(spec: ContextSpec) -> int | None:
    """Channels that a context returns; None where it keeps those it is given."""
    return None if isinstance(spec, NoContext | FcAttentionSpec) else spec.width
