"""The block of DFANet's lightweight Xception, as the paper needs it and as public code has it."""

from torch import Tensor, nn

from segsearch.models.blocks.basic import projected
from segsearch.models.ops import ConvNorm
from segsearch.spec.channels import inner_width
from segsearch.spec.encoder import StageSpec


class SeparableConv(nn.Module):
    """Depthwise, BatchNorm, 1x1, BatchNorm, activation (Xception, section 3)."""

    def __init__(self, in_channels: int, out_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__()
        self.depthwise = ConvNorm(
            in_channels,
            in_channels,
            stage.kernel,
            stride=stride,
            dilation=stage.dilations[0],
            groups=in_channels,
            activation="none",
        )
        self.pointwise = ConvNorm(in_channels, out_channels, 1, activation=stage.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, C', H/stride, W/stride)."""
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class SeparableBlock(nn.Module):
    """Three separable convolutions, a quarter as wide inside, plus the input (DFANet, section 3.4 and table 1).

    The first one strides, and the sum has no activation behind it: the reading that gives the published FLOPs.
    """

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__()
        inner = inner_width(stage, in_channels)
        self.convs = nn.Sequential(
            SeparableConv(in_channels, inner, stage, stride),
            SeparableConv(inner, inner, stage, 1),
            SeparableConv(inner, stage.width, stage, 1),
        )
        self.shortcut = projected(in_channels, stage.width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H/stride, W/stride)."""
        out: Tensor = self.convs(x) + self.shortcut(x)
        return out


class BiasedSeparableConv(nn.Module):
    """Depthwise, 1x1, BatchNorm, activation; both convolutions have biases, and there is no BatchNorm between them."""

    def __init__(self, in_channels: int, out_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__()
        rate = stage.dilations[0]
        padding = rate * (stage.kernel // 2)
        self.depthwise = nn.Conv2d(in_channels, in_channels, stage.kernel, stride, padding, rate, groups=in_channels)
        self.pointwise = ConvNorm(in_channels, out_channels, 1, bias=True, activation=stage.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, C', H/stride, W/stride)."""
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class BiasedSeparableBlock(nn.Module):
    """`SeparableBlock` as a public DFANet has it (huaifeng1993's): biases, and a plain 1x1 as every shortcut."""

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__()
        inner = inner_width(stage, in_channels)
        self.convs = nn.Sequential(
            BiasedSeparableConv(in_channels, inner, stage, stride),
            BiasedSeparableConv(inner, inner, stage, 1),
            BiasedSeparableConv(inner, stage.width, stage, 1),
        )
        self.shortcut = nn.Conv2d(in_channels, stage.width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H/stride, W/stride)."""
        out: Tensor = self.convs(x) + self.shortcut(x)
        return out
