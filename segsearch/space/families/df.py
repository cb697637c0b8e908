"""DF1 and DF2."""

from segsearch.space.numbers import Choices, repeated, rounded
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec

VARIANTS = {
    "df1": ((64, 3, 2), (128, 3, 2), (256, 3, 2), (512, 1, 1)),
    "df2": ((64, 2, 2), (128, 1, 1), (128, 10, 2), (256, 1, 1), (256, 4, 2), (512, 2, 1)),
}
"""Width, blocks and stride of each stage (Partial Order Pruning, table 2)."""


def df(choices: Choices, width: float) -> EncoderSpec:
    """DF: two strided 3x3, then basic blocks, few at high resolution (Partial Order Pruning, Li et al. 2019)."""
    stages = tuple(
        StageSpec(
            block="basic", depth=repeated(blocks, float(choices["depth"])), width=rounded(base * width), stride=stride
        )
        for base, blocks, stride in VARIANTS[str(choices["variant"])]
    )
    last = len(stages)
    return EncoderSpec(
        stem=StemSpec(widths=(rounded(32 * width), rounded(64 * width)), strides=(2, 2)),
        stages=stages,
        taps=tuple(range(last - 3, last)) if choices["taps"] == "last_three" else (),
    )
