"""DFANet's lightweight Xception."""

from typing import Literal

from segsearch.space.numbers import Choices, numbers, rounded
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec

VARIANTS = {"a": (48, 96, 192), "b": (32, 64, 128)}
"""Width of each stage (DFANet, table 1)."""


def xception(choices: Choices, width: float) -> EncoderSpec:
    """Three stages of separable blocks, closed by the FC attention or not (DFANet, section 3.2 and table 1).

    ``code``: the paper's reading, or a public one: biases, a shortcut's 1x1 in every block, a gated attention.
    """
    widths, public = VARIANTS[str(choices["variant"])], choices["code"] == "huaifeng1993"
    attention: Literal["fc", "fc_gated"] = "fc_gated" if public else "fc"
    return EncoderSpec(
        stem=StemSpec(widths=(rounded(8 * width),), strides=(2,)),
        stages=tuple(
            StageSpec(
                block="separable_biased" if public else "separable", depth=depth, width=rounded(base * width), stride=2
            )
            for base, depth in zip(widths, numbers(choices["repeats"]), strict=True)
        ),
        attention=attention if choices["attention"] == "fc" else "none",
    )
