"""Channels and strides that follow from a spec, in plain integers: what the builder must keep and rules may ask."""

from segsearch.spec.encoder import AnyEncoder, EncoderSpec, StageSpec, StemSpec, TimmSpec
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


def inner_width(stage: StageSpec, in_channels: int) -> int:
    """Width inside a block: given, a quarter of the output for blocks narrow inside, or the expanded input."""
    if stage.inner is not None:
        return stage.inner
    narrow = stage.block in ("bottleneck", "separable", "separable_biased")
    return max(1, stage.width // 4) if narrow else stage.expansion * in_channels


def stage_out(stage: StageSpec, in_channels: int) -> int:
    """Channels a stage returns. A long skip joins its last map to its input, or to its first map if it strides."""
    if stage.long_skip != "concat":
        return stage.width
    return stage.width + (in_channels if stage.stride == 1 else stage.width)


def stage_inputs(encoder: EncoderSpec) -> tuple[int, ...]:
    """Channels entering each stage."""
    channels = [encoder.stem.widths[-1]]
    for stage in encoder.stages:
        channels.append(stage_out(stage, channels[-1]))
    return tuple(channels[:-1])


def stage_strides(encoder: EncoderSpec) -> tuple[int, ...]:
    """Stride of each stage's maps, over the whole encoder."""
    strides = [max(stem_levels(encoder.stem), default=1)]
    for stage in encoder.stages:
        strides.append(strides[-1] * stage.stride)
    return tuple(strides[1:])


def stages_at(encoder: EncoderSpec, stride: int) -> tuple[StageSpec, ...]:
    """Stages whose maps have this stride, in order."""
    return tuple(s for s, at in zip(encoder.stages, stage_strides(encoder), strict=True) if at == stride)


def stages_out(stages: tuple[StageSpec, ...], in_channels: int) -> int:
    """Channels a run of stages returns for ``in_channels``."""
    for stage in stages:
        in_channels = stage_out(stage, in_channels)
    return in_channels


def level_stages(encoder: EncoderSpec) -> dict[int, int]:
    """Return ``{stride: index of its stage}`` of the levels that stages make; nominal strides where they are tapped."""
    strides = stage_strides(encoder)
    if encoder.taps:
        return {strides[encoder.taps[0]] << i: tap for i, tap in enumerate(encoder.taps)}
    return {stride: i for i, stride in enumerate(strides)}


def encoder_levels(encoder: AnyEncoder) -> dict[int, int]:
    """Return ``{stride: channels}`` of every level an encoder offers: the last at each stride, or the tapped ones."""
    if isinstance(encoder, TimmSpec):
        return {2 ** (encoder.finest + i): channels for i, channels in enumerate(encoder.channels)}
    channels = [stage_out(s, c) for s, c in zip(encoder.stages, stage_inputs(encoder), strict=True)]
    levels = {} if encoder.taps else stem_levels(encoder.stem)
    return levels | {stride: channels[i] for stride, i in level_stages(encoder).items()}


def own_levels(encoder: AnyEncoder, pyramid: PyramidSpec) -> dict[int, int]:
    """Return ``{stride: channels}`` of the levels that the encoder itself makes, widened if asked, finest first."""
    own = {s: c for s, c in sorted(encoder_levels(encoder).items()) if 2**pyramid.finest <= s <= 2**pyramid.coarsest}
    return dict(zip(own, pyramid.expand or own.values(), strict=True))


def pooled_strides(encoder: AnyEncoder, pyramid: PyramidSpec) -> tuple[int, ...]:
    """Strides of the levels that are pooled from the encoder's last one, finest first."""
    last = max(encoder_levels(encoder)).bit_length()
    return tuple(2**level for level in range(max(last, pyramid.finest), pyramid.coarsest + 1))


def pyramid_levels(encoder: AnyEncoder, pyramid: PyramidSpec) -> dict[int, int]:
    """Return ``{stride: channels}`` of the levels the neck is given; pooled ones keep the channels they come from."""
    levels = own_levels(encoder, pyramid)
    pooled = pooled_strides(encoder, pyramid) if pyramid.at == "encoder" else ()
    return levels | {stride: levels[max(levels)] for stride in pooled}
