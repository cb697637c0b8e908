"""EfficientNet, its variant with fused blocks, and EfficientNet-Lite."""

from segsearch.space.numbers import Choices, limit_stride, repeated
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec
from segsearch.spec.words import Activation, Padding

ROWS: tuple[tuple[int, int, int, int, int], ...] = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride, expansion and width of each stage at width 1 and depth 1 (EfficientNet, table 1)."""


def filters(width: float) -> int:
    """Round to a multiple of 8, losing at most a tenth (EfficientNet's released code)."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest


def efficientnet(choices: Choices, width: float) -> EncoderSpec:
    """EfficientNet scaled in width and depth, without its last 1x1 (EfficientNet, section 3.3; ESeg, section 3.2).

    ``mbconv``: squeeze-excite and SiLU. ``fused``: fused blocks, ReLU and no squeeze-excite, ESeg-Lite's encoder.
    """
    fused = choices["block"] == "fused"
    activation: Activation = "relu" if fused else "silu"
    stages = tuple(
        StageSpec(
            block="fused" if fused else "mbconv",
            depth=repeated(blocks, float(choices["depth"])),
            width=filters(base * width),
            stride=stride,
            kernel=5 if kernel == 5 else 3,
            expansion=expansion,
            squeeze="none" if fused else "inner",
            activation=activation,
        )
        for blocks, kernel, stride, expansion, base in ROWS
    )
    stem = StemSpec(widths=(filters(32 * width),), strides=(2,), activation=activation)
    return limit_stride(EncoderSpec(stem=stem, stages=stages, norm_eps=1e-3), int(choices["output_stride"]))


VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
"""Width and depth of each, as multiples of EfficientNet-B0's."""


def efficientnet_lite(choices: Choices, width: float) -> EncoderSpec:
    """EfficientNet with ReLU6 and without squeeze-excite, for devices (EfficientNet-Lite, released by its authors).

    A variant scales neither the stem's width nor the depth of the first and the last stage.
    """
    wider, deeper = VARIANTS[str(choices["variant"])]
    padding: Padding = "symmetric" if choices["padding"] == "symmetric" else "same"
    stages = tuple(
        StageSpec(
            block="mbconv",
            depth=blocks if i in (0, len(ROWS) - 1) else repeated(blocks, deeper),
            width=filters(base * width * wider),
            stride=stride,
            kernel=5 if kernel == 5 else 3,
            expansion=expansion,
            activation="relu6",
            padding=padding,
        )
        for i, (blocks, kernel, stride, expansion, base) in enumerate(ROWS)
    )
    stem = StemSpec(widths=(filters(32 * width),), strides=(2,), activation="relu6", padding=padding)
    return limit_stride(EncoderSpec(stem=stem, stages=stages, norm_eps=1e-3), int(choices["output_stride"]))
