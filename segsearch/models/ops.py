"""Basic modules of all parts. Each is an ``nn.Module``, so that counters, folding and hooks find it."""

import copy
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from segsearch.spec.words import Activation, Padding, Pool

Features = dict[int, Tensor]
Channels = dict[int, int]

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "silu": lambda: nn.SiLU(inplace=True),
    "hswish": lambda: nn.Hardswish(inplace=True),
    "none": nn.Identity,
}
"""All but "none" work in place: nothing else may read their input."""


class SameConv2d(nn.Conv2d):
    """A convolution whose padding follows the size of its input, as TensorFlow's SAME does; `Padding` says how."""

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, C', H/stride, W/stride), sizes rounded up."""
        windows = zip(size_of(x), self.kernel_size, self.stride, self.dilation, strict=True)
        rows, columns = (max(0, (side - 1) // s * s + d * (k - 1) + 1 - side) for side, k, s, d in windows)
        if rows % 2 or columns % 2:
            x = F.pad(x, (0, columns % 2, 0, rows % 2))
        around = (rows // 2, columns // 2)
        return F.conv2d(x, self.weight, self.bias, self.stride, around, self.dilation, self.groups)


CONVOLUTIONS: dict[Padding, type[nn.Conv2d]] = {"symmetric": nn.Conv2d, "same": SameConv2d}


class ConvNorm(nn.Module):
    """Convolution, BatchNorm, activation; padded so that stride 1 keeps the size. ``act=False`` means "none"."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        act: bool = True,
        activation: Activation = "relu",
        eps: float = 1e-5,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__()
        around = dilation * (kernel // 2)
        self.conv = CONVOLUTIONS[padding](
            in_channels, out_channels, kernel, stride, around, dilation=dilation, groups=groups, bias=bias
        )
        self.norm = nn.BatchNorm2d(out_channels, eps=eps)
        self.act = ACTIVATIONS[activation if act else "none"]()

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, C', H/stride, W/stride), sizes rounded up."""
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out

    @property
    def folded(self) -> bool:
        """Whether BatchNorm is gone, so that the convolution may be taken apart."""
        return isinstance(self.norm, nn.Identity)

    def split(self, parts: int) -> list[nn.Sequential]:
        """Return ``parts`` modules that give this one's output channels in turns of equal width; folded only."""
        assert self.folded and self.conv.groups == 1 and self.conv.bias is not None
        weights, biases = self.conv.weight.chunk(parts), self.conv.bias.chunk(parts)
        return [
            nn.Sequential(conv_of(self.conv, w, b), copy.deepcopy(self.act))
            for w, b in zip(weights, biases, strict=True)
        ]


def conv_of(like: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """Make a convolution with the geometry of ``like`` and weights (K, C, h, w), (K) of its own; one group."""
    conv = type(like)(
        weight.shape[1],
        weight.shape[0],
        like.kernel_size,  # type: ignore[arg-type]  # torch calls a pair a tuple of any length
        like.stride,  # type: ignore[arg-type]
        like.padding,  # type: ignore[arg-type]
        like.dilation,  # type: ignore[arg-type]
        bias=bias is not None,
    )
    conv.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach().clone())
    return conv


class Resize(nn.Upsample):
    """Bilinear resize to the size of another map; exact for any pair of sizes, so odd inputs need no padding.

    It is an ``nn.Upsample``, so that what counts upsampling modules counts it.
    """

    align_corners: bool

    def __init__(self, align_corners: bool) -> None:
        super().__init__(mode="bilinear", align_corners=align_corners)

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:  # type: ignore[override]  # the size is given at the call
        """Tensor (B, C, h, w) to (B, C, *size_hw)."""
        if x.shape[-2:] == size_hw:
            return x
        return F.interpolate(x, size=size_hw, mode="bilinear", align_corners=self.align_corners)

    def extra_repr(self) -> str:
        """Show the convention in ``print(network)``."""
        return f"align_corners={self.align_corners}"


class Unresized(Resize):
    """Stands in for a resize that is done elsewhere."""

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:  # type: ignore[override]  # as `Resize`
        """Return ``x`` as it is."""
        return x


class Nearest(nn.Module):
    """Nearest-neighbour resize to the size of another map; exact for any pair of sizes."""

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """Tensor (B, C, h, w) to (B, C, *size_hw)."""
        return x if size_of(x) == size_hw else F.interpolate(x, size=size_hw, mode="nearest")


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of a (B, C, H, W) tensor."""
    return x.shape[-2], x.shape[-1]


def halving(kind: Pool, kernel: int = 3) -> nn.Module:
    """Make a pool (B, C, H, W) to (B, C, H/2, W/2), sizes rounded up."""
    if kind == "max":
        return nn.MaxPool2d(kernel, 2, kernel // 2)
    # zeros of the padding must not lower averages at the border
    return nn.AvgPool2d(kernel, 2, kernel // 2, count_include_pad=False)
