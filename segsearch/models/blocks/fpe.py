"""FPENet's block, as the paper needs it and as public code has it."""

import torch
from torch import Tensor, nn

from segsearch.deployment.deployable import Deployable, Seen
from segsearch.models.blocks.basic import projected
from segsearch.models.ops import ACTIVATIONS, ConvNorm, conv_of
from segsearch.spec.encoder import StageSpec


class FPEBlock(Deployable):
    """Feature pyramid encoding: depthwise branches of growing rate, each added to the next (FPENet, section 3.1)."""

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__()
        inner = in_channels * stage.expansion
        share = inner // len(stage.dilations)
        self.stride, self.cascade = stride, stage.cascade
        self.shortcut: nn.Module | None = nn.Identity() if in_channels == stage.width and stride == 1 else None
        self.expand: nn.Module = ConvNorm(in_channels, inner, 1, activation=stage.activation)
        self.branches = nn.ModuleList(
            ConvNorm(share, share, stride=stride, dilation=rate, groups=share, activation=stage.activation)
            for rate in stage.dilations
        )
        self.project: nn.Module = ConvNorm(inner, stage.width, 1, activation="none")
        self.act = ACTIVATIONS[stage.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H/stride, W/stride)."""
        if isinstance(self.expand, nn.ModuleList):
            groups = tuple(expand(x) for expand in self.expand)
        else:
            groups = self.expand(x).chunk(len(self.branches), dim=1)
        out: Tensor = self._projected(self._pyramid(groups))
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        out = self.act(out)
        return out

    def split_expansion(self, seen: Seen) -> None:
        """Expand with one narrow 1x1 per branch: slicing a wide map is a copy in runtimes."""
        if isinstance(self.expand, ConvNorm) and self.expand.folded:
            self.expand = nn.ModuleList(self.expand.split(len(self.branches)))

    def sum_branches(self, seen: Seen) -> None:
        """Project each branch by its part of the 1x1 and add: runtimes fuse additions but copy to concatenate."""
        if isinstance(self.project, ConvNorm) and self.project.folded:
            conv, first = self.project.conv, self.project.conv.bias
            weights = torch.chunk(conv.weight, len(self.branches), dim=1)
            self.project = nn.ModuleList(conv_of(conv, w, None if i else first) for i, w in enumerate(weights))

    def _projected(self, maps: list[Tensor]) -> Tensor:
        if not isinstance(self.project, nn.ModuleList):
            joined: Tensor = self.project(torch.cat(maps, dim=1))
            return joined
        out: Tensor = self.project[0](maps[0])
        for project, x in zip(self.project[1:], maps[1:], strict=True):
            out = out + project(x)
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
                # with a stride, the previous output is smaller than this branch's input, so it is added to the output
                outputs.append(branch(group) + before)
        return outputs


class ProjectedFPEBlock(FPEBlock):
    """`FPEBlock` as public code has it (xiaoyufenfei's): the first 1x1 strides, and every block has a shortcut."""

    def __init__(self, in_channels: int, stage: StageSpec, stride: int) -> None:
        super().__init__(in_channels, stage, 1)
        inner = in_channels * stage.expansion
        self.expand = ConvNorm(in_channels, inner, 1, stride=stride, activation=stage.activation)
        self.shortcut = projected(in_channels, stage.width, stride)
