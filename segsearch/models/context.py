"""Context modules on the coarsest level. All places of a new one: docs/extend.md."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segsearch.models.attention import FcAttention
from segsearch.models.ops import ConvNorm, Resize, size_of
from segsearch.spec.context import (
    AsppSpec,
    ContextSpec,
    DenseAsppSpec,
    FcAttentionSpec,
    NoContext,
    NonLocalSpec,
    PyramidPoolingSpec,
)


class Context(nn.Module):
    """Turns the coarsest level (B, C, H, W) into (B, out_channels, H, W)."""

    out_channels: int


class PassThrough(Context):
    """No context: returns its input."""

    def __init__(self, spec: NoContext, in_channels: int, align_corners: bool) -> None:
        super().__init__()
        self.out_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W), unchanged."""
        return x


class PyramidPooling(Context):
    """Averages over grids of several sizes, concatenated with the input, then a 1x1 (PSPNet; SFNet, section 3.3)."""

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


class Aspp(Context):
    """ASPP: a 1x1, dilated 3x3 and the global average, concatenated, then a 1x1 (DeepLabv3, section 3.3)."""

    def __init__(self, spec: AsppSpec, in_channels: int, align_corners: bool) -> None:
        super().__init__()
        assert spec.inner is not None, "a spec with no inner width is an AtrousSum"
        inner = spec.inner
        self.point = ConvNorm(in_channels, inner, 1)
        self.branches = nn.ModuleList(ConvNorm(in_channels, inner, dilation=rate) for rate in spec.rates)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.image = ConvNorm(in_channels, inner, 1)
        self.resize = Resize(align_corners)
        self.bottleneck = ConvNorm(inner * (len(spec.rates) + 2), spec.width, 1)
        self.dropout = nn.Dropout2d(0.1)
        self.out_channels = spec.width

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H, W)."""
        image = self.resize(self.image(self.pool(x)), size_of(x))
        maps = (self.point(x), *(branch(x) for branch in self.branches), image)
        out: Tensor = self.dropout(self.bottleneck(torch.cat(maps, dim=1)))
        return out


class AtrousSum(Context):
    """Dilated 3x3 convolutions, summed (DeepLabv2's ASPP; the layout that DFANet's table 2 needs)."""

    def __init__(self, spec: AsppSpec, in_channels: int, align_corners: bool) -> None:
        super().__init__()
        self.branches = nn.ModuleList(ConvNorm(in_channels, spec.width, dilation=rate) for rate in spec.rates)
        self.out_channels = spec.width

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H, W)."""
        first, *others = (branch(x) for branch in self.branches)
        out: Tensor = sum(others, first)
        return out


def aspp(spec: AsppSpec, in_channels: int, align_corners: bool) -> Aspp | AtrousSum:
    """Build the layout that ``spec`` describes: joined by a 1x1, or summed."""
    return (AtrousSum if spec.inner is None else Aspp)(spec, in_channels, align_corners)


class DenseAspp(Context):
    """Blocks of 1x1 and dilated 3x3, each reading the map and all blocks before it (DenseASPP, figure 3)."""

    def __init__(self, spec: DenseAsppSpec, in_channels: int, align_corners: bool) -> None:
        super().__init__()
        inputs = [in_channels + i * spec.growth for i in range(len(spec.rates) + 1)]
        self.blocks = nn.ModuleList(
            nn.Sequential(ConvNorm(c, spec.inner, 1), ConvNorm(spec.inner, spec.growth, dilation=rate))
            for c, rate in zip(inputs[:-1], spec.rates, strict=True)
        )
        self.bottleneck = ConvNorm(inputs[-1], spec.width, 1)
        self.dropout = nn.Dropout2d(0.1)
        self.out_channels = spec.width

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H, W)."""
        for block in self.blocks:
            x = torch.cat((x, block(x)), dim=1)
        out: Tensor = self.dropout(self.bottleneck(x))
        return out


class NonLocal(Context):
    """x + W softmax(query key) value over all pixels, beside the input itself (Non-local Neural Networks, equation 6).

    It lies between two 3x3, the second over the result and the input, as in DANet. The two matrix products are not
    modules, so `count.cost` does not count them.
    """

    def __init__(self, spec: NonLocalSpec, in_channels: int, align_corners: bool) -> None:
        super().__init__()
        self.entry = ConvNorm(in_channels, spec.entry)
        self.query = nn.Conv2d(spec.entry, spec.inner, 1)
        # a bias would add the same number to all scores of a pixel, which softmax cancels
        self.key = nn.Conv2d(spec.entry, spec.inner, 1, bias=False)
        self.value = nn.Conv2d(spec.entry, spec.inner, 1)
        self.restore = ConvNorm(spec.inner, spec.entry, 1, act=False)
        self.merge = ConvNorm(in_channels + spec.entry, spec.width)
        self.dropout = nn.Dropout2d(0.1)
        self.out_channels = spec.width

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H, W)."""
        entry = self.entry(x)
        attended = entry + self.restore(self._attend(entry))
        out: Tensor = self.dropout(self.merge(torch.cat((x, attended), dim=1)))
        return out

    def _attend(self, x: Tensor) -> Tensor:
        # one head, written out: exporters take attention over four dimensions only
        query, key, value = (part(x).flatten(2).mT.unsqueeze(1) for part in (self.query, self.key, self.value))
        # scale 1: the paper's embedded Gaussian does not divide by sqrt(inner)
        seen = F.scaled_dot_product_attention(query, key, value, scale=1.0).squeeze(1)
        return seen.mT.reshape(x.shape[0], -1, *size_of(x))


class ChannelAttention(Context):
    """DFANet's FC attention: weights per channel from global average pooling (section 3.2)."""

    def __init__(self, spec: FcAttentionSpec, in_channels: int, align_corners: bool) -> None:
        super().__init__()
        self.attention = FcAttention(in_channels, spec.hidden)
        self.out_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W), weighed."""
        out: Tensor = self.attention(x)
        return out


CONTEXTS: dict[str, Callable[..., Context]] = {
    "none": PassThrough,
    "ppm": PyramidPooling,
    "aspp": aspp,
    "denseaspp": DenseAspp,
    "nonlocal": NonLocal,
    "fc": ChannelAttention,
}


def build_context(spec: ContextSpec, in_channels: int, align_corners: bool) -> Context:
    """Build the context module that ``spec`` names."""
    return CONTEXTS[spec.kind](spec, in_channels, align_corners)
