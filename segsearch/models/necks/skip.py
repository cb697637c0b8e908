"""DeepLabV3+'s decoder: the coarsest level and the finest, none in between."""

import torch
from torch import nn

from segsearch.models.necks.base import Neck, Site
from segsearch.models.necks.nodes import Separable
from segsearch.models.ops import ConvNorm, Features, Resize, size_of
from segsearch.spec.neck import SkipSpec


class Skip(Neck):
    """Coarsest level upsampled and concatenated with a narrowed finest one, two separable 3x3 (DeepLabV3+, figure 2).

    A single level is not concatenated with anything.
    """

    def __init__(self, spec: SkipSpec, site: Site) -> None:
        super().__init__()
        finest, coarsest = min(site.inputs), max(site.inputs)
        self.low = ConvNorm(site.inputs[finest], spec.low, 1) if finest < coarsest else None
        joined = site.inputs[coarsest] + (0 if self.low is None else spec.low)
        self.resize = Resize(site.align_corners)
        self.convs = nn.Sequential(
            *(Separable(c, spec.width, eps=1e-5, activation="relu") for c in (joined, spec.width))
        )
        self._declare({finest: spec.width}, site.only_finest)
        if spec.smooth:
            self._smooth_over((finest,))

    def fuse(self, features: Features) -> Features:
        """Levels to one at the finest stride."""
        finest, deep = features[min(features)], features[max(features)]
        if self.low is not None:
            deep = torch.cat((self.resize(deep, size_of(finest)), self.low(finest)), dim=1)
        return {min(self.channels): self.convs(deep)}
