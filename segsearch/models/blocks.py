"""Blocks, the smallest units of a stage. A new one: a class, a row in `BLOCKS`, a word in spec.encoder.BlockName."""

import torch
from torch import Tensor, nn

from segsearch.models.ops import ConvNorm
from segsearch.spec.encoder import StageSpec


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity, projected where the shape changes (He et al. 2016, figure 5).

    The stage's rate dilates the second convolution and leaves strides alone, as SFNet's released code does.
    """

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__()
        width = stage.width
        self.conv1 = ConvNorm(in_channels, width, stride=stride)
        self.conv2 = ConvNorm(width, width, dilation=stage.dilations[0], act=False)
        same = in_channels == width and stride == 1
        self.shortcut: nn.Module = (
            nn.Identity() if same else ConvNorm(in_channels, width, kernel=1, stride=stride, act=False)
        )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H/stride, W/stride)."""
        out: Tensor = self.act(self.conv2(self.conv1(x)) + self.shortcut(x))
        return out


class FPEBlock(nn.Module):
    """Feature pyramid encoding: depthwise branches of growing rate, each added to the next (FPENet, section 3.1)."""

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__()
        inner = in_channels * stage.expansion
        share = inner // len(stage.dilations)
        self.stride, self.cascade = stride, stage.cascade
        self.residual = in_channels == stage.width and stride == 1
        self.expand = ConvNorm(in_channels, inner, kernel=1)
        self.branches = nn.ModuleList(
            ConvNorm(share, share, stride=stride, dilation=rate, groups=share) for rate in stage.dilations
        )
        self.project = ConvNorm(inner, stage.width, kernel=1, act=False)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H/stride, W/stride)."""
        groups = self.expand(x).chunk(len(self.branches), dim=1)
        out: Tensor = self.project(torch.cat(self._pyramid(groups), dim=1))
        if self.residual:
            out = out + x
        out = self.act(out)
        return out

    def _pyramid(self, groups: tuple[Tensor, ...]) -> list[Tensor]:
        outputs: list[Tensor] = []
        for branch, group in zip(self.branches, groups, strict=True):
            before = outputs[-1] if self.cascade and outputs else None
            if before is None:
                outputs.append(branch(group))
            elif self.stride == 1:
                outputs.append(branch(group + before))
            else:
                # a strided branch's output is smaller than its neighbour's input: the two meet behind the convolution
                outputs.append(branch(group) + before)
        return outputs


BLOCKS: dict[str, type[BasicBlock | FPEBlock]] = {"basic": BasicBlock, "fpe": FPEBlock}
