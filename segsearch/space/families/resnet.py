"""ResNet."""

from typing import Literal

from segsearch.space.numbers import Choices, limit_stride, numbers, rounded
from segsearch.spec.encoder import BlockName, EncoderSpec, StageSpec, StemSpec

DEPTHS: dict[int, tuple[BlockName, tuple[int, ...]]] = {
    10: ("basic", (1, 1, 1, 1)),
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
}
"""Block and blocks per stage (He et al. 2016, table 1)."""


def resnet(choices: Choices, width: float) -> EncoderSpec:
    """ResNet with the deep stem of three 3x3 (SFNet's; Bag of Tricks 2019, figure 2 b) or the plain 7x7."""
    block, blocks = DEPTHS[int(choices["depth"])]
    factor = 4 if block == "bottleneck" else 1
    rates = numbers(choices["dilations"])
    stages = tuple(
        StageSpec(
            block=block,
            depth=depth,
            width=factor * rounded(64 * 2**i * width),
            stride=2 if i else 1,
            dilations=(rate,),
        )
        for i, (depth, rate) in enumerate(zip(blocks, rates, strict=True))
    )
    return limit_stride(EncoderSpec(stem=_stem(choices, width), stages=stages), int(choices["output_stride"]))


def _stem(choices: Choices, width: float) -> StemSpec:
    pool: Literal["floor", "ceil"] = "ceil" if choices["stem_pool"] == "ceil" else "floor"
    narrow, wide = rounded(64 * width), rounded(128 * width)
    if choices["stem"] == "plain":
        return StemSpec(widths=(narrow,), strides=(2,), pool=pool, kernel=7)
    return StemSpec(widths=(narrow, narrow, wide), strides=(2, 1, 1), pool=pool)
