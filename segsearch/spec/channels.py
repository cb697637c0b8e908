"""Channels and strides that follow from a spec, in plain integers: what the builder must keep and rules may ask."""

from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec
from segsearch.spec.neck import PyramidSpec


def stem_levels(stem: StemSpec) -> dict[int, int]:
    """Return ``{stride: channels}`` of the last map at each stride inside the stem, the pooled one included."""
    levels, stride = {}, 1
    for width, step in zip(stem.widths, stem.strides, strict=True):
        stride *= step
        levels[stride] = width
    if stem.pool != "none":
        levels[stride * 2] = stem.widths[-1]
    levels.pop(1, None)
    return levels


def stage_out(stage: StageSpec, in_channels: int) -> int:
    """Channels a stage returns. A long skip joins its last map to its input, or to its first map if it strides."""
    if stage.long_skip == "none":
        return stage.width
    return stage.width + (in_channels if stage.stride == 1 else stage.width)


def stage_inputs(encoder: EncoderSpec) -> tuple[int, ...]:
    """Channels entering each stage."""
    channels = [encoder.stem.widths[-1]]
    for stage in encoder.stages:
        channels.append(stage_out(stage, channels[-1]))
    return tuple(channels[:-1])


def encoder_levels(encoder: EncoderSpec) -> dict[int, int]:
    """Return ``{stride: channels}`` of every level an encoder offers: the last map at each stride."""
    levels = stem_levels(encoder.stem)
    stride, channels = max(levels, default=1), encoder.stem.widths[-1]
    for stage in encoder.stages:
        stride, channels = stride * stage.stride, stage_out(stage, channels)
        levels[stride] = channels
    return levels


def pyramid_levels(encoder: EncoderSpec, pyramid: PyramidSpec) -> dict[int, int]:
    """Return ``{stride: channels}`` from finest to coarsest; pooled levels keep the channels they are pooled from."""
    own = encoder_levels(encoder)
    levels, channels = {}, 0
    for level in range(pyramid.finest, pyramid.coarsest + 1):
        channels = own.get(2**level, channels)
        levels[2**level] = channels
    return levels
