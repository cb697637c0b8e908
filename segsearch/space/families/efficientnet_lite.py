"""EfficientNet-Lite."""

from segsearch.space.families.choices import Choices, limit_stride
from segsearch.space.families.efficientnet import ROWS, filters
from segsearch.space.numbers import repeated
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec
from segsearch.spec.words import Padding

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
