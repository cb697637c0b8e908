"""Heads: Features -> logits at the finest level. All places of a new one: docs/extend.md."""

from abc import abstractmethod
from typing import final

import torch
from torch import Tensor, nn

from segsearch.deployment.deployable import Deployable, Seen
from segsearch.models.coarse import CoarseMerge, cheaper_before_resize
from segsearch.models.necks.nodes import Separable, WeightedSum
from segsearch.models.ops import Channels, ConvNorm, Features, Resize, size_of
from segsearch.spec.head import ConcatHead, HeadSpec, PlainHead, WeightedHead


class Head(Deployable):
    """Turns fused levels into logits (B, K, H/s, W/s) at the finest stride s."""

    classify: nn.Module
    """The last layer: a 1x1 to logits."""

    @abstractmethod
    def forward(self, features: Features) -> Tensor:
        """Levels to logits (B, K, H/s, W/s)."""


@final
class Plain(Head):
    """Classifier on the finest level: a 1x1 (FPENet, figure 1)."""

    def __init__(self, spec: PlainHead, channels: Channels, classes: int, align_corners: bool) -> None:
        super().__init__()
        self.classify = nn.Conv2d(
            channels[min(channels)], classes, spec.kernel, padding=spec.kernel // 2, bias=spec.bias
        )

    def forward(self, features: Features) -> Tensor:
        """See `Head`."""
        logits: Tensor = self.classify(features[min(features)])
        return logits


@final
class Concat(Head):
    """All levels resized to the finest and concatenated, a 3x3, the classifier (SFNet, figure 4)."""

    def __init__(self, spec: ConcatHead, channels: Channels, classes: int, align_corners: bool) -> None:
        super().__init__()
        self.resize = Resize(align_corners)
        self.merge: nn.Module = ConvNorm(sum(channels.values()), spec.width)
        self.classify = nn.Conv2d(spec.width, classes, 1)

    def forward(self, features: Features) -> Tensor:
        """See `Head`."""
        if isinstance(self.merge, CoarseMerge):
            merged = self.merge(features)
        else:
            size = size_of(features[min(features)])
            merged = self.merge(torch.cat([self.resize(features[s], size) for s in sorted(features)], dim=1))
        logits: Tensor = self.classify(merged)
        return logits

    def merge_coarsely(self, seen: Seen) -> None:
        """Filter the levels before they are resized, where that is less work: see `CoarseMerge`."""
        given = seen(self)
        if given is not None and isinstance(self.merge, ConvNorm) and self.merge.folded:
            sizes = {s: size_of(f) for s, f in sorted(given[0].items())}
            widths = {s: f.shape[1] for s, f in sorted(given[0].items())}
            if coarse := cheaper_before_resize(sizes, widths):
                self.merge = CoarseMerge(self.merge, sizes, widths, coarse, self.resize.align_corners)


@final
class Weighted(Head):
    """All levels resized to the finest and summed by learnt weights, separable 3x3, classifier (ESeg, section 3.2)."""

    def __init__(self, spec: WeightedHead, channels: Channels, classes: int, align_corners: bool) -> None:
        super().__init__()
        self.resize = Resize(align_corners)
        other = {s: c for s, c in channels.items() if c != spec.width}
        # the levels of ESeg's neck all have one width; those of other necks may differ
        self.projections = nn.ModuleDict({str(s): ConvNorm(c, spec.width, 1, act=False) for s, c in other.items()})
        self.sum = WeightedSum(len(channels), spec.weights)
        separable = spec.conv == "separable"
        self.conv = Separable(spec.width, spec.width, activation="silu") if separable else nn.Identity()
        self.classify = nn.Conv2d(spec.width, classes, 1)

    def forward(self, features: Features) -> Tensor:
        """See `Head`."""
        size = size_of(features[min(features)])
        maps = (self.projections[str(s)](f) if str(s) in self.projections else f for s, f in sorted(features.items()))
        logits: Tensor = self.classify(self.conv(self.sum(*(self.resize(m, size) for m in maps))))
        return logits


HEADS: dict[str, type[Plain | Concat | Weighted]] = {"plain": Plain, "concat": Concat, "weighted": Weighted}


def only_finest(spec: HeadSpec) -> bool:
    """Whether a head reads only the finest level, so that the neck builds nothing for the others."""
    return spec.kind == "plain"


def build_head(spec: HeadSpec, channels: Channels, classes: int, align_corners: bool) -> Head:
    """Build the head that ``spec`` names, on the levels ``channels``."""
    return HEADS[spec.kind](spec, channels, classes, align_corners)  # type: ignore[arg-type]  # the row fits the kind
