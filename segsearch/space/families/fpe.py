"""FPENet's encoder."""

from typing import Literal

from segsearch.space.numbers import Choices, numbers, rounded
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec


def fpe(choices: Choices, width: float) -> EncoderSpec:
    """FPENet's encoder: 1, p and q feature-pyramid-encoding blocks (FPENet, section 3.1 and table 1).

    ``code``: the paper's reading, or a public one, where only a stage's first block expands and long skips are sums.
    """
    shapes = ((1, 16, 1), (int(choices["p"]), 32, 2), (int(choices["q"]), 64, 2))
    made = _public if choices["code"] == "xiaoyufenfei" else _paper
    return EncoderSpec(
        stem=StemSpec(widths=(rounded(16 * width),), strides=(2,)),
        stages=tuple(
            stage for depth, base, stride in shapes for stage in made(choices, depth, rounded(base * width), stride)
        ),
    )


def _paper(choices: Choices, depth: int, width: int, stride: int) -> tuple[StageSpec, ...]:
    stage = StageSpec(
        block="fpe",
        depth=depth,
        width=width,
        stride=stride,
        expansion=int(choices["expansion"]) if stride == 2 else 1,
        dilations=numbers(choices["dilations"]),
        # a single branch is never added to another one: keep the default
        cascade=bool(choices["cascade"]) or len(numbers(choices["dilations"])) == 1,
        long_skip="concat" if choices["long_skip"] else "none",
    )
    return (stage,)


def _public(choices: Choices, depth: int, width: int, stride: int) -> tuple[StageSpec, ...]:
    """Split a stage in two: its first block, and the others, around which the long skip leads."""
    (stage,) = _paper(choices, depth, width, stride)
    first = stage.model_copy(update={"block": "fpe_projected", "depth": 1, "long_skip": "none"})
    skip: Literal["add", "none"] = "add" if choices["long_skip"] else "none"
    others = {"block": "fpe_projected", "depth": depth - 1, "stride": 1, "expansion": 1, "long_skip": skip}
    return (first, stage.model_copy(update=others)) if depth > 1 else (first,)
