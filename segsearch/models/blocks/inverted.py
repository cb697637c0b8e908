"""Inverted residual blocks: expand, filter, squeeze-excite, project."""

from torch import Tensor, nn

from segsearch.models.blocks.basic import projected
from segsearch.models.ops import ACTIVATIONS, ConvNorm
from segsearch.spec.channels import inner_width
from segsearch.spec.encoder import StageSpec


class SqueezeExcite(nn.Module):
    """Squeeze-excite with biases (Squeeze-and-Excitation, figure 2; EfficientNet's form)."""

    def __init__(self, channels: int, reduced: int, stage: StageSpec) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.act = ACTIVATIONS[stage.activation]()
        self.restore = nn.Conv2d(reduced, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W), weighed."""
        weights: Tensor = self.gate(self.restore(self.act(self.reduce(self.pool(x)))))
        return x * weights


class NormedSqueezeExcite(nn.Module):
    """Squeeze-excite with BatchNorm and no biases (SGCPNet's released MobileNetV3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = max(1, channels // 4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = ConvNorm(channels, reduced, 1)
        self.restore = ConvNorm(reduced, channels, 1, activation="none")
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W), weighed."""
        weights: Tensor = self.gate(self.restore(self.reduce(self.pool(x))))
        return x * weights


class InvertedBlock(nn.Module):
    """expand, depthwise, squeeze-excite, project, squeeze-excite, shortcut; missing parts are identities."""

    expand: nn.Module
    depthwise: nn.Module
    project: nn.Module
    shortcut: nn.Module | None

    def __init__(self, in_channels: int, stage: StageSpec, inner: int) -> None:
        super().__init__()
        self.squeeze_inner: nn.Module = nn.Identity()
        self.squeeze_out: nn.Module = nn.Identity()
        if stage.squeeze == "inner":
            # the reduced width follows the block's input, not the wide map (EfficientNet's released code)
            self.squeeze_inner = SqueezeExcite(inner, max(1, in_channels // 4), stage)
        elif stage.squeeze == "out":
            self.squeeze_out = NormedSqueezeExcite(stage.width)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H/stride, W/stride)."""
        inner = self.squeeze_inner(self.depthwise(self.expand(x)))
        out: Tensor = self.squeeze_out(self.project(inner))
        return out if self.shortcut is None else out + self.shortcut(x)


def _filter(inner: int, stage: StageSpec, stride: int) -> ConvNorm:
    return ConvNorm(
        inner,
        inner,
        stage.kernel,
        stride=stride,
        dilation=stage.dilations[0],
        groups=inner,
        activation=stage.activation,
        padding=stage.padding,
    )


class MBConvBlock(InvertedBlock):
    """EfficientNet's block (section 4; MobileNetV2's, figure 4); with no expansion if that would not widen the map."""

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        inner = inner_width(stage, in_channels)
        super().__init__(in_channels, stage, inner)
        widens = inner != in_channels
        self.expand = ConvNorm(in_channels, inner, 1, activation=stage.activation) if widens else nn.Identity()
        self.depthwise = _filter(inner, stage, stride)
        self.project = ConvNorm(inner, stage.width, 1, activation="none")
        self.shortcut = nn.Identity() if stride == 1 and in_channels == stage.width else None


class FusedBlock(InvertedBlock):
    """Expansion and filter in one full convolution (EfficientNetV2, figure 2; ESeg-Lite's encoder).

    If the expansion would not widen the map, the block is that convolution alone.
    """

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        inner = inner_width(stage, in_channels)
        widens = inner != in_channels
        inner = inner if widens else stage.width
        super().__init__(in_channels, stage, inner)
        self.expand = ConvNorm(
            in_channels,
            inner,
            stage.kernel,
            stride=stride,
            dilation=stage.dilations[0],
            activation=stage.activation,
            padding=stage.padding,
        )
        self.depthwise = nn.Identity()
        self.project = ConvNorm(inner, stage.width, 1, activation="none") if widens else nn.Identity()
        self.shortcut = nn.Identity() if stride == 1 and in_channels == stage.width else None


class MobileBlock(InvertedBlock):
    """MobileNetV3's block as SGCPNet's released code has it.

    It always expands, and every block that does not stride has a shortcut, through a 1x1 where the width changes.
    """

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        inner = inner_width(stage, in_channels)
        super().__init__(in_channels, stage, inner)
        self.expand = ConvNorm(in_channels, inner, 1, activation=stage.activation)
        self.depthwise = _filter(inner, stage, stride)
        self.project = ConvNorm(inner, stage.width, 1, activation="none")
        self.shortcut = projected(in_channels, stage.width, 1) if stride == 1 else None
