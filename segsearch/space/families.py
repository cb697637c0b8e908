"""Encoder families: from a few choices to explicit stages. Each is a pure function, looked up in `FAMILIES`."""

from collections.abc import Callable, Mapping

from segsearch.space.nodes import Scalar
from segsearch.spec.parts import EncoderSpec, StageSpec, StemSpec

Choices = Mapping[str, Scalar]

RESNET_BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def rounded(width: float, divisor: int = 8) -> int:
    """Nearest multiple of ``divisor``, at least one: what tensor cores and depthwise kernels like."""
    return max(divisor, int(width / divisor + 0.5) * divisor)


def rates(text: Scalar) -> tuple[int, ...]:
    """Read ``"1,2,4,8"``."""
    return tuple(int(rate) for rate in str(text).split(","))


def resnet(choices: Choices, width: float) -> EncoderSpec:
    """ResNet of basic blocks with the deep stem of three 3x3 (SFNet's backbone; He et al. 2016, Bag of Tricks 2019)."""
    blocks = RESNET_BLOCKS[int(choices["depth"])]
    return EncoderSpec(
        stem=StemSpec(
            widths=(rounded(64 * width), rounded(64 * width), rounded(128 * width)),
            strides=(2, 1, 1),
            pool="ceil" if choices["stem_pool"] == "ceil" else "floor",
        ),
        stages=tuple(
            StageSpec(
                block="basic", depth=depth, width=rounded(64 * 2**i * width), stride=2 if i else 1, dilations=(rate,)
            )
            for i, (depth, rate) in enumerate(zip(blocks, rates(choices["dilations"]), strict=True))
        ),
    )


def fpe(choices: Choices, width: float) -> EncoderSpec:
    """FPENet's encoder: 1, p and q feature-pyramid-encoding blocks (FPENet, section 3.1 and table 1)."""
    expansion = int(choices["expansion"])
    shapes = ((1, 16, 1, 1), (int(choices["p"]), 32, 2, expansion), (int(choices["q"]), 64, 2, expansion))
    return EncoderSpec(
        stem=StemSpec(widths=(rounded(16 * width),), strides=(2,)),
        stages=tuple(
            StageSpec(
                block="fpe",
                depth=depth,
                width=rounded(base * width),
                stride=stride,
                expansion=inner,
                dilations=rates(choices["dilations"]),
                # a single branch has nobody to add to: one network, one spec
                cascade=bool(choices["cascade"]) or len(rates(choices["dilations"])) == 1,
                long_skip="concat" if choices["long_skip"] else "none",
            )
            for depth, base, stride, inner in shapes
        ),
    )


FAMILIES: dict[str, Callable[[Choices, float], EncoderSpec]] = {"resnet": resnet, "fpe": fpe}
