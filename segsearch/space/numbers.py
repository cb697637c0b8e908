"""How choices become numbers of channels, blocks and rates."""

import math
import re
from collections.abc import Mapping

from segsearch.space.nodes import Scalar
from segsearch.spec.channels import stage_strides
from segsearch.spec.encoder import EncoderSpec, StageSpec


def numbers(text: Scalar) -> tuple[int, ...]:
    """Read ``"1,2,4,8"``."""
    return tuple(int(number) for number in str(text).split(","))


def level(word: Scalar) -> int:
    """Read ``"P3"``, a place in the pyramid. Raises ValueError for anything but P1 to P9."""
    if not re.fullmatch("P[1-9]", str(word)):
        raise ValueError(f"{word!r} is not a level, P1 to P9")
    return int(str(word)[1:])


def rounded(width: float, divisor: int = 8) -> int:
    """Round to a multiple of ``divisor``, at least one: widths at which tensor cores and depthwise kernels are fast."""
    return max(divisor, int(width / divisor + 0.5) * divisor)


def repeated(depth: int, times: float) -> int:
    """Scale the number of blocks of a stage, rounded up as in EfficientNet."""
    return math.ceil(depth * times)


Choices = Mapping[str, Scalar]
"""What was chosen inside one arm of a space (an encoder family, a context, a fusion, a head), by name."""


def limit_stride(encoder: EncoderSpec, output_stride: int) -> EncoderSpec:
    """Replace strides beyond ``output_stride`` by dilation, which keeps the receptive fields (DeepLab)."""
    stages: list[StageSpec] = []
    for stage, stride in zip(encoder.stages, stage_strides(encoder), strict=True):
        rate = max(1, stride // output_stride)
        kept = 1 if rate > 1 else stage.stride
        rates = tuple(rate * own for own in stage.dilations)
        stages.append(stage.model_copy(update={"stride": kept, "dilations": rates}))
    return encoder.model_copy(update={"stages": tuple(stages)})
