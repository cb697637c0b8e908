"""The encoder's stages again, each network reading the maps of the one before (DFANet, section 3)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segsearch.models.encoder import Encoder
from segsearch.models.halving import halving
from segsearch.models.necks.base import Neck, Site
from segsearch.models.ops import Channels, ConvNorm, Features, Resize, size_of
from segsearch.spec.neck import AggregateSpec
from segsearch.spec.reruns import Run, plan_reruns, staged

Maps = list[Tensor]


class Aggregate(Neck):
    """Deep feature aggregation: networks 2, 3... read the last map and the stages' maps of the one before (DFANet).

    Each network starts at the size of the first map of the one before, so its maps are half as large: of DFANet's
    four, the last maps are at strides 16, 32, 64 and 128. Levels finer than any stage (a stem's) are not run again.
    """

    def __init__(self, spec: AggregateSpec, site: Site) -> None:
        super().__init__()
        self.strides = staged(site.encoder.spec, tuple(site.inputs))
        plan = plan_reruns(site.encoder.spec, site.inputs, spec.networks)
        self.networks = nn.ModuleList(Rerun(runs, site.encoder, site.align_corners) for runs in plan)
        high = [site.inputs[max(site.inputs)], *(runs[-1].out_channels for runs in plan)]
        low = [site.inputs[min(site.inputs)], *(runs[0].out_channels for runs in plan)]
        self.high = Summed(high, spec.width, site.align_corners) if spec.decoder != "none" else None
        self.low = Summed(low, spec.width, site.align_corners) if spec.decoder == "both" else None
        self.merge = ConvNorm(spec.width, spec.width) if self.low is not None else nn.Identity()
        self.resize = Resize(site.align_corners)
        self._declare(self._declared(spec, site.inputs, high[-1]), site.only_finest)
        if spec.smooth:
            self._smooth_over(tuple(self.channels))

    def _declared(self, spec: AggregateSpec, inputs: Channels, last: int) -> Channels:
        if spec.decoder == "none":
            return {max(inputs) << len(self.networks): last}
        # the last maps alone know nothing finer than the encoder's last one
        return {(min if self.low is not None else max)(inputs): spec.width}

    def fuse(self, features: Features) -> Features:
        """Levels to one: see `spec.neck.AggregateSpec.decoder`."""
        deep, maps = features[max(features)], [features[s] for s in self.strides]
        high, low = [deep], [features[min(features)]]
        for network in self.networks:
            deep, maps = network(deep, maps)
            high.append(deep)
            low.append(maps[0])
        fused = deep if self.high is None else self.high(high)
        if self.low is not None:
            fused = self.resize(fused, size_of(low[0])) + self.merge(self.low(low))
        return {min(self.channels): fused}


class Rerun(nn.Module):
    """One network behind the encoder: its stages with fresh weights and wider inputs, and its attention if any."""

    def __init__(self, runs: Sequence[Run], encoder: Encoder, align_corners: bool) -> None:
        super().__init__()
        self.resize = Resize(align_corners)
        # a run that the encoder's stem strides for must stride itself, or networks would not get smaller
        self.pools = nn.ModuleList(halving("max") if run.pools else nn.Identity() for run in runs)
        self.stages = nn.ModuleList(encoder.make_stage(run.stride, run.in_channels) for run in runs)
        self.attention = encoder.make_attention()

    def forward(self, deep: Tensor, beside: Maps) -> tuple[Tensor, Maps]:
        """Last map (B, C, h, w) and the stages' maps of the network before, to this network's."""
        x = self.resize(deep, size_of(beside[0]))
        maps: Maps = []
        for pool, stage, other in zip(self.pools, self.stages, beside, strict=True):
            # a single stage's map is the last map itself, which is at hand already
            x = stage(pool(torch.cat((x, other), dim=1) if len(beside) > 1 else x))
            maps.append(x)
        return self.attention(x), maps


class Summed(nn.Module):
    """A 1x1 on each map, all brought to the first one's size and summed (DFANet, section 3.3)."""

    def __init__(self, in_channels: Sequence[int], width: int, align_corners: bool) -> None:
        super().__init__()
        self.projections = nn.ModuleList(ConvNorm(c, width, 1) for c in in_channels)
        self.resize = Resize(align_corners)

    def forward(self, maps: Maps) -> Tensor:
        """Tensors (B, C_i, h_i, w_i) to (B, width, h_0, w_0)."""
        size = size_of(maps[0])
        total: Tensor = self.projections[0](maps[0])
        for project, x in zip(self.projections[1:], maps[1:], strict=True):
            total = total + self.resize(project(x), size)
        return total
