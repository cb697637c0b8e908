"""Encoder: image -> Features, from stem and stages."""

import torch
from torch import Tensor, nn

from segsearch.models.attention import FcAttention, GatedFcAttention
from segsearch.models.blocks.table import BLOCKS
from segsearch.models.ops import Channels, ConvNorm, Features
from segsearch.spec.channels import encoder_levels, level_stages, stage_inputs, stage_out, stages_at
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec


class Stem(nn.Module):
    """Convolutions, and a max-pool if the spec has one."""

    def __init__(self, spec: StemSpec) -> None:
        super().__init__()
        inputs, kernels = (3, *spec.widths[:-1]), (spec.kernel, *(3,) * (len(spec.widths) - 1))
        self.convs = nn.ModuleList(
            ConvNorm(i, o, k, stride=s, activation=spec.activation, padding=spec.padding)
            for i, o, k, s in zip(inputs, spec.widths, kernels, spec.strides, strict=True)
        )
        self.strides = spec.strides
        self.pool = None if spec.pool == "none" else nn.MaxPool2d(3, 2, 1, ceil_mode=spec.pool == "ceil")

    @property
    def first(self) -> ConvNorm:
        """The convolution that reads the image."""
        conv = self.convs[0]
        assert isinstance(conv, ConvNorm)
        return conv

    def forward(self, image: Tensor) -> Features:
        """Tensor (B, 3, H, W) to the last map at each stride, the pooled one included."""
        features: Features = {}
        x, stride = image, 1
        for conv, step in zip(self.convs, self.strides, strict=True):
            x, stride = conv(x), stride * step
            features[stride] = x
        if self.pool is not None:
            features[stride * 2] = self.pool(x)
        return features


class Stage(nn.Module):
    """A sequence of blocks; a long skip joins the first and the last map at the stage's output resolution."""

    def __init__(self, spec: StageSpec, in_channels: int) -> None:
        super().__init__()
        block = BLOCKS[spec.block]
        inputs = (in_channels, *(spec.width,) * (spec.depth - 1))
        self.blocks = nn.ModuleList(block(c, spec, 1 if i else spec.stride) for i, c in enumerate(inputs))
        self.stride, self.long_skip = spec.stride, spec.long_skip

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, C', H/stride, W/stride)."""
        first = x
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == 0 and self.stride == 2:
                first = x
        if self.long_skip == "none":
            return x
        return torch.cat((first, x), dim=1) if self.long_skip == "concat" else first + x


class Encoder(nn.Module):
    """Stem and stages; ``channels`` declares the strides and channels of the maps that `forward` returns."""

    channels: Channels

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = Stem(spec.stem)
        self.stages = nn.ModuleList(Stage(stage, c) for stage, c in zip(spec.stages, stage_inputs(spec), strict=True))
        self.attention = self.make_attention()
        self.channels = encoder_levels(spec)
        _set_eps(self, spec.norm_eps)

    def forward(self, image: Tensor) -> Features:
        """Tensor (B, 3, H, W) to every level: the last map at each stride, or the tapped ones."""
        features = self.stem(image)
        x = features[max(features)]
        maps: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        maps[-1] = self.attention(maps[-1])
        features |= {stride: maps[i] for stride, i in level_stages(self.spec).items()}
        return {stride: features[stride] for stride in self.channels}

    def make_stage(self, stride: int, in_channels: int) -> nn.Sequential:
        """Build the stages of one stride again, on ``in_channels``, with fresh, unshared weights (DFANet, figure 3).

        It takes (B, in_channels, h, w) and strides as this encoder's own stages do on their way into ``stride``.
        """
        made: list[nn.Module] = []
        for stage in stages_at(self.spec, stride):
            made.append(Stage(stage, in_channels))
            in_channels = stage_out(stage, in_channels)
        run = nn.Sequential(*made)
        _set_eps(run, self.spec.norm_eps)
        return run

    def make_attention(self, channels: int | None = None) -> nn.Module:
        """Build what follows the last stage, with fresh weights: an attention over ``channels``, or the identity."""
        if self.spec.attention == "none":
            return nn.Identity()
        channels = channels or stage_out(self.spec.stages[-1], stage_inputs(self.spec)[-1])
        return FcAttention(channels) if self.spec.attention == "fc" else GatedFcAttention(channels)

    def release_attention(self, channels: int) -> nn.Module:
        """Stop applying the attention to the last map; return one with fresh weights for a neck to apply."""
        self.attention = nn.Identity()
        return self.make_attention(channels)


def _set_eps(module: nn.Module, eps: float) -> None:
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.eps = eps
