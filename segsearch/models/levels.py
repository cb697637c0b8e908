"""Levels P5 to P9 and beyond an encoder: 3x3 stride-2 pooling, chained (ESeg, section 3.1)."""

from torch import nn

from segsearch.models.ops import Channels, Features, halving
from segsearch.spec.channels import own_levels, pooled_strides, pyramid_levels
from segsearch.spec.encoder import AnyEncoder
from segsearch.spec.neck import PyramidSpec


class Levels(nn.Module):
    """Picks the encoder's levels finest..coarsest, widens them if asked, and pools those beyond unless the neck does.

    Pooled levels keep the channels they are pooled from. Widening is a 1x1 with no BatchNorm: SGCPNet's
    high-dimension features (section 3.1).
    """

    channels: Channels

    def __init__(self, spec: PyramidSpec, encoder: AnyEncoder) -> None:
        super().__init__()
        own, narrow = own_levels(encoder, spec), own_levels(encoder, spec.model_copy(update={"expand": ()}))
        self.strides = tuple(own)
        self.expansions = nn.ModuleDict({str(s): nn.Conv2d(narrow[s], own[s], 1) for s in own if spec.expand})
        self.pooled = pooled_strides(encoder, spec)
        self.pools_here = spec.at == "encoder"
        self.pools = nn.ModuleList(halving(spec.pool) for _ in self.pooled if self.pools_here)
        self.channels = pyramid_levels(encoder, spec)

    def forward(self, features: Features) -> Features:
        """Return exactly the declared levels, finest first."""
        levels = {
            s: self.expansions[str(s)](features[s]) if str(s) in self.expansions else features[s] for s in self.strides
        }
        for pool in self.pools:
            coarsest = max(levels)
            levels[coarsest * 2] = pool(levels[coarsest])
        return levels
