"""Plain convolutions and ResNet's two blocks."""

from torch import Tensor, nn

from segsearch.models.ops import ACTIVATIONS, ConvNorm
from segsearch.spec.channels import inner_width
from segsearch.spec.encoder import StageSpec


class ConvBlock(ConvNorm):
    """One convolution: what closes ShuffleNetV2 (table 5, Conv5)."""

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__(
            in_channels,
            stage.width,
            stage.kernel,
            stride=stride,
            dilation=stage.dilations[0],
            activation=stage.activation,
        )


def projected(in_channels: int, width: int, stride: int) -> nn.Module:
    """Make a shortcut: the map itself where the shape stays, a 1x1 where it does not (He et al. 2016, option B)."""
    if in_channels == width and stride == 1:
        return nn.Identity()
    return ConvNorm(in_channels, width, 1, stride=stride, activation="none")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity, projected where the shape changes (He et al. 2016, figure 5).

    The stage's rate dilates the second convolution and leaves strides alone, as SFNet's released code does.
    """

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__()
        width = stage.width
        self.conv1 = ConvNorm(in_channels, width, stride=stride, activation=stage.activation)
        self.conv2 = ConvNorm(width, width, dilation=stage.dilations[0], activation="none")
        self.shortcut = projected(in_channels, width, stride)
        self.act = ACTIVATIONS[stage.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H/stride, W/stride)."""
        out: Tensor = self.act(self.conv2(self.conv1(x)) + self.shortcut(x))
        return out


class BottleneckBlock(nn.Module):
    """1x1, 3x3, 1x1 around a shortcut (He et al. 2016, figure 5); the 3x3 strides and is dilated, as in version 1.5."""

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__()
        inner = inner_width(stage, in_channels)
        self.conv1 = ConvNorm(in_channels, inner, 1, activation=stage.activation)
        self.conv2 = ConvNorm(inner, inner, stride=stride, dilation=stage.dilations[0], activation=stage.activation)
        self.conv3 = ConvNorm(inner, stage.width, 1, activation="none")
        self.shortcut = projected(in_channels, stage.width, stride)
        self.act = ACTIVATIONS[stage.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H/stride, W/stride)."""
        out: Tensor = self.act(self.conv3(self.conv2(self.conv1(x))) + self.shortcut(x))
        return out
