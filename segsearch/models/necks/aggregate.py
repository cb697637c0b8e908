"""DFANet's neck: repeats of the encoder's stages, each reading the maps of the previous network (section 3).

A public DFANet (`code` huaifeng1993) differs from the paper in five points. The first network's last map passes the
attention as the next network's first input, but not as the second input of its last stage. At the start of a network
the previous network's map is first in the concatenation. The decoder resizes all maps to the finest size in one step.
The decoder's 3x3 has a bias. A single 1x1 reads the last maps of all networks but the first.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segsearch.models.encoder import Encoder
from segsearch.models.necks.base import Neck, Site
from segsearch.models.ops import Channels, ConvNorm, Features, Resize, halving, size_of
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
        encoder = site.encoder
        assert isinstance(encoder, Encoder), "the spec's rules leave timm's out"
        self.public = spec.code == "huaifeng1993"
        self.strides = staged(encoder.spec, tuple(site.inputs))
        coarsest = site.inputs[max(site.inputs)]
        self.attention = encoder.release_attention(coarsest) if self.public else nn.Identity()
        plan = plan_reruns(encoder.spec, site.inputs, spec.networks)
        self.networks = nn.ModuleList(Rerun(runs, encoder, site.align_corners, self.public) for runs in plan)
        high = [coarsest, *(runs[-1].out_channels for runs in plan)]
        low = [site.inputs[min(site.inputs)], *(runs[0].out_channels for runs in plan)]
        summed = SummedByLast if self.public else Summed
        self.high = summed(high, spec.width, site.align_corners) if spec.decoder != "none" else None
        self.low = Summed(low, spec.width, site.align_corners) if spec.decoder == "both" else None
        self.merge = nn.Identity() if self.low is None else ConvNorm(spec.width, spec.width, bias=self.public)
        self.resize = Resize(site.align_corners)
        self._declare(self._declared(spec, site.inputs, high[-1]), site.only_finest)
        if spec.smooth:
            self._smooth_over(tuple(self.channels))

    def _declared(self, spec: AggregateSpec, inputs: Channels, last: int) -> Channels:
        if spec.decoder == "none":
            return {max(inputs) << len(self.networks): last}
        # with no low-level maps, the finest size is that of the encoder's last map
        return {(min if self.low is not None else max)(inputs): spec.width}

    def fuse(self, features: Features) -> Features:
        """Levels to one: see `spec.neck.AggregateSpec.decoder`."""
        deep, maps = self.attention(features[max(features)]), [features[s] for s in self.strides]
        high, low = [deep], [features[min(features)]]
        for network in self.networks:
            deep, maps = network(deep, maps)
            high.append(deep)
            low.append(maps[0])
        return {min(self.channels): self._decoded(high, low)}

    def _decoded(self, high: Maps, low: Maps) -> Tensor:
        at_once = self.public and self.low is not None
        fused = high[-1] if self.high is None else self.high(high, size_of((low if at_once else high)[0]))
        if self.low is not None:
            finest = size_of(low[0])
            fused = self.resize(fused, finest) + self.merge(self.low(low, finest))
        return fused


class Rerun(nn.Module):
    """One network after the encoder: its stages and attention with fresh weights and wider inputs.

    ``previous_first``: the order of the first stage's two inputs. In later stages the network's own map is first.
    """

    def __init__(self, runs: Sequence[Run], encoder: Encoder, align_corners: bool, previous_first: bool) -> None:
        super().__init__()
        self.previous_first = previous_first
        self.resize = Resize(align_corners)
        # where the encoder's stem strides for these stages, a pool does so here, or maps would not get smaller
        self.pools = nn.ModuleList(halving("max") if run.pools else nn.Identity() for run in runs)
        self.stages = nn.ModuleList(encoder.make_stage(run.stride, run.in_channels) for run in runs)
        self.attention = encoder.make_attention()

    def forward(self, deep: Tensor, previous: Maps) -> tuple[Tensor, Maps]:
        """Last map (B, C, h, w) and the stages' maps of the previous network, to those of this one."""
        x = self.resize(deep, size_of(previous[0]))
        maps: Maps = []
        for pool, stage, other in zip(self.pools, self.stages, previous, strict=True):
            pair = (x, other) if maps or not self.previous_first else (other, x)
            # the map of a single stage is the last map, which is the input already
            x = stage(pool(torch.cat(pair, dim=1) if len(previous) > 1 else x))
            maps.append(x)
        return self.attention(x), maps


class Summed(nn.Module):
    """A 1x1 on each map, then resized to one size and summed (DFANet, section 3.3)."""

    def __init__(self, in_channels: Sequence[int], width: int, align_corners: bool) -> None:
        super().__init__()
        self.projections = nn.ModuleList(ConvNorm(c, width, 1) for c in in_channels)
        self.resize = Resize(align_corners)

    def forward(self, maps: Maps, size_hw: tuple[int, int]) -> Tensor:
        """Tensors (B, C_i, h_i, w_i) to (B, width, *size_hw)."""
        first, *others = (self.resize(project(x), size_hw) for project, x in zip(self._projecting(), maps, strict=True))
        total: Tensor = sum(others, first)
        return total

    def _projecting(self) -> list[nn.Module]:
        """Return the module that reads each map."""
        return list(self.projections)


class SummedByLast(Summed):
    """`Summed` as a public DFANet has it (huaifeng1993's): the last 1x1 reads every map but the first.

    The others are unused: counted and stored as in that code, but never run.
    """

    def _projecting(self) -> list[nn.Module]:
        first, *others = self.projections
        return [first, *others[-1:] * len(others)]
