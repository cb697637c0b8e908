"""Levels P5 to P9 and beyond an encoder: 3x3 stride-2 pooling, chained (ESeg, section 3.1)."""

from torch import nn

from segsearch.models.ops import Channels, Features
from segsearch.spec.neck import PyramidSpec


class Levels(nn.Module):
    """Picks the levels finest..coarsest and pools those coarser than the encoder's own; they keep its channels."""

    channels: Channels

    def __init__(self, spec: PyramidSpec, encoder: Channels) -> None:
        super().__init__()
        self.strides = tuple(2**level for level in range(spec.finest, spec.coarsest + 1))
        pooled = [s for s in self.strides if s > max(encoder)]
        self.pools = nn.ModuleList(_pool(spec.pool) for _ in pooled)
        self.channels = {s: encoder[min(s, max(encoder))] for s in self.strides}

    def forward(self, features: Features) -> Features:
        """Return exactly the declared levels, finest first."""
        features = dict(features)
        for pool in self.pools:
            coarsest = max(features)
            features[coarsest * 2] = pool(features[coarsest])
        return {s: features[s] for s in self.strides}


def _pool(kind: str) -> nn.Module:
    # the border must not drag averages to zero
    return nn.MaxPool2d(3, 2, 1) if kind == "max" else nn.AvgPool2d(3, 2, 1, count_include_pad=False)
