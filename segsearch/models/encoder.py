"""Encoder: image -> Features, from stem and stages."""

import torch
from torch import Tensor, nn

from segsearch.models.blocks import BLOCKS
from segsearch.models.ops import Channels, ConvNorm, Features
from segsearch.spec.channels import encoder_levels, stage_inputs
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec


class Stem(nn.Module):
    """3x3 convolutions, then the max-pool if there is one."""

    def __init__(self, spec: StemSpec) -> None:
        super().__init__()
        inputs = (3, *spec.widths[:-1])
        self.convs = nn.ModuleList(
            ConvNorm(i, o, stride=s) for i, o, s in zip(inputs, spec.widths, spec.strides, strict=True)
        )
        self.strides = spec.strides
        self.pool = None if spec.pool == "none" else nn.MaxPool2d(3, 2, 1, ceil_mode=spec.pool == "ceil")

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
    """A run of blocks; with a long skip it returns its first and last map of its own resolution side by side."""

    def __init__(self, spec: StageSpec, in_channels: int) -> None:
        super().__init__()
        block = BLOCKS[spec.block]
        inputs = (in_channels, *(spec.width,) * (spec.depth - 1))
        self.blocks = nn.ModuleList(block(c, spec, 1 if i else spec.stride) for i, c in enumerate(inputs))
        self.stride, self.concat = spec.stride, spec.long_skip == "concat"

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, C', H/stride, W/stride)."""
        first = x
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == 0 and self.stride == 2:
                first = x
        return torch.cat((first, x), dim=1) if self.concat else x


class Encoder(nn.Module):
    """Stem and stages; ``channels`` declares what it returns, which tests hold against the real maps."""

    channels: Channels

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.stem = Stem(spec.stem)
        self.stages = nn.ModuleList(Stage(stage, c) for stage, c in zip(spec.stages, stage_inputs(spec), strict=True))
        self.channels = encoder_levels(spec)

    def forward(self, image: Tensor) -> Features:
        """Tensor (B, 3, H, W) to every level, the last map at each stride."""
        features = self.stem(image)
        stride = max(features)
        x = features[stride]
        for stage in self.stages:
            x = stage(x)
            stride *= stage.stride
            features[stride] = x
        return {s: f for s, f in features.items() if s > 1}
