"""ShuffleNetV2's block."""

import torch
from torch import Tensor, nn

from segsearch.models.ops import ConvNorm, size_of
from segsearch.spec.encoder import StageSpec


class ShuffleBlock(nn.Module):
    """Half of the channels pass, half are filtered, then both are shuffled (ShuffleNetV2, figure 3 c).

    Where the shape changes, both halves are made from the whole input (figure 3 d).
    """

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__()
        half, act = stage.width // 2, stage.activation
        self.splits = in_channels == stage.width and stride == 1
        given = half if self.splits else in_channels
        self.left: nn.Module = nn.Identity()
        if not self.splits:
            self.left = nn.Sequential(
                _filter(in_channels, stage, stride), ConvNorm(in_channels, half, 1, activation=act)
            )
        self.right = nn.Sequential(
            ConvNorm(given, half, 1, activation=act),
            _filter(half, stage, stride),
            ConvNorm(half, half, 1, activation=act),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H/stride, W/stride)."""
        left, right = x.chunk(2, dim=1) if self.splits else (x, x)
        joined = torch.cat((self.left(left), self.right(right)), dim=1)
        # channel i of the left half lands beside channel i of the right half
        return joined.view(len(x), 2, -1, *size_of(joined)).transpose(1, 2).flatten(1, 2)


def _filter(channels: int, stage: StageSpec, stride: int) -> ConvNorm:
    rate = stage.dilations[0]
    return ConvNorm(channels, channels, stride=stride, dilation=rate, groups=channels, activation="none")
