"""Necks: Features -> Features, built for an encoder's channels."""

from torch import nn

from segsearch.models.fusions import FUSIONS
from segsearch.models.ops import Channels, ConvNorm, Features
from segsearch.spec.neck import TopDownSpec


class TopDown(nn.Module):
    """Folds one pair fusion from the coarsest level down to the finest.

    Levels are keyed by their stride as a word, since module names must be words.
    """

    channels: Channels

    def __init__(self, spec: TopDownSpec, inputs: Channels, read: tuple[int, ...], align_corners: bool) -> None:
        """Build for levels ``inputs``; the head will read the strides ``read``."""
        super().__init__()
        fusion = FUSIONS[spec.fusion]
        *shallow, coarsest = sorted(inputs)
        widths = dict(zip(shallow, spec.widths, strict=True))
        given = dict(inputs)
        self.laterals = nn.ModuleDict()
        if shallow and not fusion.projects:
            given = dict.fromkeys(inputs, spec.widths[0])
            # SFNet gives its laterals a bias beside their BatchNorm; a coarsest level that context left wide gets none
            laterals = {s: ConvNorm(inputs[s], given[s], 1, bias=True) for s in shallow}
            if inputs[coarsest] != given[coarsest]:
                laterals[coarsest] = ConvNorm(inputs[coarsest], given[coarsest], 1)
            self.laterals.update({str(s): lateral for s, lateral in laterals.items()})
        self.channels = widths | {coarsest: given[coarsest]}
        self.fusions = nn.ModuleDict(
            {str(s): fusion(self.channels[s * 2], given[s], widths[s], align_corners) for s in reversed(shallow)}
        )
        smoothed = [s for s in shallow if spec.smooth and s in read]
        self.smooths = nn.ModuleDict({str(s): ConvNorm(widths[s], widths[s]) for s in smoothed})
        self.read = read

    def fuse(self, features: Features) -> Features:
        """Levels to fused levels, coarsest first, before any smoothing."""
        given = {s: self.laterals[str(s)](f) if str(s) in self.laterals else f for s, f in features.items()}
        coarsest, *shallow = sorted(given, reverse=True)
        fused = {coarsest: given[coarsest]}
        for stride in shallow:
            fused[stride] = self.fusions[str(stride)](fused[stride * 2], given[stride])
        return fused

    def smooth(self, fused: Features) -> Features:
        """Fused levels to those the head reads, finest first."""
        return {s: self.smooths[str(s)](fused[s]) if str(s) in self.smooths else fused[s] for s in sorted(self.read)}

    def forward(self, features: Features) -> Features:
        """Levels to those the head reads, finest first."""
        return self.smooth(self.fuse(features))
