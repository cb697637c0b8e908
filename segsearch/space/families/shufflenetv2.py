"""ShuffleNetV2."""

from segsearch.space.numbers import Choices, numbers, rounded
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec

WIDTHS = {0.5: 48, 1.0: 116, 1.5: 176, 2.0: 244}
"""Width of the first stage, doubled by each later one (ShuffleNetV2, table 5); other factors scale that of 1.0."""


def shufflenetv2(choices: Choices, width: float) -> EncoderSpec:
    """Three stages of shuffled blocks, closed by a 1x1 or not (ShuffleNetV2, table 5)."""
    first = WIDTHS.get(width, rounded(WIDTHS[1.0] * width))
    stages = [
        StageSpec(block="shuffle", depth=depth, width=first * 2**i, stride=2)
        for i, depth in enumerate(numbers(choices["repeats"]))
    ]
    if choices["conv5"]:
        stages.append(StageSpec(block="conv", depth=1, width=2048 if width >= 2 else 1024, stride=1, kernel=1))
    return EncoderSpec(
        stem=StemSpec(widths=(24,), strides=(2,), pool="ceil" if choices["stem_pool"] == "ceil" else "floor"),
        stages=tuple(stages),
    )
