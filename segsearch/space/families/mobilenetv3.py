"""MobileNetV3-Small as SGCPNet has it."""

from segsearch.space.numbers import Choices, repeated, rounded
from segsearch.spec.encoder import EncoderSpec, Kernel, StageSpec, StemSpec
from segsearch.spec.words import Activation

ROWS: tuple[tuple[int, Kernel, int, int, Activation, bool, int], ...] = (
    (1, 3, 16, 16, "relu", True, 2),
    (1, 3, 72, 24, "relu", False, 2),
    (1, 3, 88, 24, "relu", False, 1),
    (1, 5, 96, 40, "hswish", True, 2),
    (2, 5, 240, 40, "hswish", True, 1),
    (1, 5, 120, 48, "hswish", True, 1),
    (1, 5, 144, 48, "hswish", True, 1),
    (1, 5, 288, 96, "hswish", True, 2),
    (2, 5, 576, 96, "hswish", True, 1),
)
"""Blocks, kernel, inner width, width, activation, squeeze-excite, stride (MobileNetV3, table 2)."""


def mobilenetv3(choices: Choices, width: float) -> EncoderSpec:
    """MobileNetV3-Small with squeeze-excite behind the projection, the variant that SGCPNet released."""
    stages = tuple(
        StageSpec(
            block="mobile",
            depth=repeated(blocks, float(choices["depth"])),
            width=rounded(base * width),
            stride=stride,
            kernel=kernel,
            inner=rounded(inner * width),
            squeeze="out" if squeezes else "none",
            activation=activation,
        )
        for blocks, kernel, inner, base, activation, squeezes, stride in ROWS
    )
    return EncoderSpec(stem=StemSpec(widths=(rounded(16 * width),), strides=(2,), activation="hswish"), stages=stages)
