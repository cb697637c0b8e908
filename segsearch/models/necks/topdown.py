"""A pair fusion applied from the coarsest level to the finest (FPN; SFNet; FPENet)."""

from collections.abc import Callable
from functools import partial

from torch import nn

from segsearch.models.fusions import FPN, FUSIONS, MEU, GatedMEU, PairFusion
from segsearch.models.necks.base import Neck, Site
from segsearch.models.ops import Channels, ConvNorm, Features
from segsearch.spec.neck import TopDownSpec


class TopDown(Neck):
    """Applies one pair fusion at each level, from the coarsest to the finest."""

    def __init__(self, spec: TopDownSpec, site: Site) -> None:
        super().__init__()
        shallow, coarsest = sorted(site.inputs)[:-1], max(site.inputs)
        widths = dict(zip(shallow, spec.widths, strict=True))
        self.laterals = nn.ModuleDict()
        given = dict(site.inputs)
        if shallow and not FUSIONS[spec.fusion].projects:
            given = dict.fromkeys(site.inputs, spec.widths[0])
            self.laterals.update({str(s): lateral for s, lateral in _laterals(spec, site.inputs, given).items()})
        self._declare(widths | {coarsest: given[coarsest]}, site.only_finest)
        self.fusions = nn.ModuleDict(
            {
                str(s): _pair(spec, s)(self.channels[s * 2], given[s], widths[s], site.align_corners)
                for s in reversed(shallow)
            }
        )
        if spec.smooth:
            # SFNet does not smooth the coarsest level
            smoothed = tuple(self.channels) if spec.style == "eseg" else tuple(shallow)
            self._smooth_over(smoothed, relu=spec.style != "eseg")

    def fuse(self, features: Features) -> Features:
        """Levels to fused levels, coarsest first, before any smoothing."""
        given = {s: self.laterals[str(s)](f) if str(s) in self.laterals else f for s, f in features.items()}
        coarsest, *shallow = sorted(given, reverse=True)
        fused = {coarsest: given[coarsest]}
        for stride in shallow:
            fused[stride] = self.fusions[str(stride)](fused[stride * 2], given[stride])
        return fused


def _laterals(spec: TopDownSpec, inputs: Channels, given: Channels) -> dict[int, ConvNorm]:
    """1x1 projections of the inputs to the width that the fusion adds them at."""
    if spec.style == "eseg":
        return {s: ConvNorm(inputs[s], given[s], 1, act=False) for s in sorted(inputs)}
    *shallow, coarsest = sorted(inputs)
    # SFNet's laterals have both bias and BatchNorm; the one of a wide coarsest level has no bias
    laterals = {s: ConvNorm(inputs[s], given[s], 1, bias=True) for s in shallow}
    if inputs[coarsest] != given[coarsest]:
        laterals[coarsest] = ConvNorm(inputs[coarsest], given[coarsest], 1)
    return laterals


def _pair(spec: TopDownSpec, stride: int) -> Callable[[int, int, int, bool], PairFusion]:
    """Return the pair fusion of one level, with its options."""
    if spec.fusion == "fam" and spec.warps is not None and stride.bit_length() - 1 not in spec.warps:
        return FPN
    if spec.fusion == "meu":
        return partial(MEU if spec.code == "paper" else GatedMEU, attention=spec.attention)
    return partial(FPN, nearest=True) if spec.style == "eseg" else FUSIONS[spec.fusion]
