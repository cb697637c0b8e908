"""Context modules on the coarsest level. A new one is a class here, a row in `CONTEXTS`, a spec in spec.context."""

import torch
from torch import Tensor, nn

from segsearch.models.ops import ConvNorm, Resize, size_of
from segsearch.spec.context import ContextSpec, NoContext, PyramidPoolingSpec


class Passing(nn.Module):
    """No context: the map goes on as it is."""

    def __init__(self, spec: NoContext, in_channels: int, align_corners: bool) -> None:
        super().__init__()
        self.out_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W), unchanged."""
        return x


class PyramidPooling(nn.Module):
    """Averages over growing grids beside the map itself, then a 1x1 (PSPNet; SFNet, section 3.3)."""

    def __init__(self, spec: PyramidPoolingSpec, in_channels: int, align_corners: bool) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.AdaptiveAvgPool2d(b) for b in spec.bins)
        self.projections = nn.ModuleList(ConvNorm(in_channels, spec.width, 1, act=False) for _ in spec.bins)
        self.resize = Resize(align_corners)
        self.bottleneck = ConvNorm(in_channels + spec.width * len(spec.bins), spec.width, 1)
        self.dropout = nn.Dropout2d(0.1)
        self.out_channels = spec.width

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H, W)."""
        bins = [
            self.resize(project(pool(x)), size_of(x))
            for pool, project in zip(self.pools, self.projections, strict=True)
        ]
        out: Tensor = self.dropout(self.bottleneck(torch.cat((*bins, x), dim=1)))
        return out


CONTEXTS: dict[str, type[Passing | PyramidPooling]] = {"none": Passing, "ppm": PyramidPooling}


def build_context(spec: ContextSpec, in_channels: int, align_corners: bool) -> Passing | PyramidPooling:
    """Build the context module that ``spec`` names."""
    return CONTEXTS[spec.kind](spec, in_channels, align_corners)  # type: ignore[arg-type]  # the row fits the kind
