"""What an encoder is described by: stem and stages, every width explicit."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from segsearch.frozen import Frozen
from segsearch.spec.words import Activation, Level, Padding, Rate, Stride, Width

BlockName = Literal[
    "basic", "bottleneck", "conv", "fpe", "fpe_projected", "fused", "mbconv", "mobile", "separable",
    "separable_biased", "shuffle",
]  # fmt: skip
Kernel = Literal[1, 3, 5, 7]


class StemSpec(Frozen):
    """The 3x3 convolutions an encoder opens with, and the max-pool behind them."""

    widths: Annotated[tuple[Width, ...], Field(min_length=1)]
    strides: Annotated[tuple[Stride, ...], Field(min_length=1)]
    pool: Literal["none", "floor", "ceil"] = "none"
    """3x3 stride-2 max-pool, named by how it rounds odd sizes: SFNet's FLOPs need `ceil`, its released code `floor`."""
    kernel: Kernel = 3
    """Of the first convolution: the plain ResNet opens with one 7x7."""
    activation: Activation = "relu"
    padding: Padding = "symmetric"
    """Of the convolutions."""


class StageSpec(Frozen):
    """A run of blocks of one shape; only the first block strides."""

    block: BlockName
    depth: Annotated[int, Field(ge=1, le=64)]
    width: Width
    stride: Stride
    kernel: Kernel = 3
    """conv, fused, mbconv, mobile, separables: of the block's spatial convolutions."""
    expansion: Annotated[int, Field(ge=1, le=8)] = 1
    """fpes, fused, mbconv, mobile: inner width over the block's input width."""
    inner: Width | None = None
    """bottleneck, fused, mbconv, mobile, separables: the inner width itself, where no ratio gives it."""
    dilations: Annotated[tuple[Rate, ...], Field(min_length=1)] = (1,)
    """One rate, for basic of the second 3x3; fpes: one rate per branch."""
    cascade: bool = True
    """fpes: each branch adds its output to the next one's input."""
    squeeze: Literal["none", "inner", "out"] = "none"
    """fused, mbconv, mobile: squeeze-excite on the inner map (EfficientNet) or on the block's output (SGCPNet)."""
    activation: Activation = "relu"
    padding: Padding = "symmetric"
    """fused, mbconv, mobile: of the blocks' spatial convolutions; networks that TensorFlow trained need same."""
    long_skip: Literal["none", "concat", "add"] = "none"
    """concat: the stage returns its first and last map of its own resolution, side by side (FPENet, section 3.1).

    add: their sum. Where the stage does not stride, its first map is its input.
    """


class EncoderSpec(Frozen):
    """Stem and stages, every width explicit."""

    kind: Literal["staged"] = "staged"
    stem: StemSpec
    stages: Annotated[tuple[StageSpec, ...], Field(min_length=1)]
    norm_eps: Annotated[float, Field(gt=0, le=0.1)] = 1e-5
    """What BatchNorm adds to a variance; EfficientNet was trained with 1e-3."""
    attention: Literal["none", "fc", "fc_gated"] = "none"
    """fc: the last map's channels weighed through a layer of 1000, ImageNet's classifier (DFANet, section 3.2).

    fc_gated: with ReLU and sigmoid and without biases, as public code has it.
    """
    taps: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Indices of the stages that are handed on, finest first; () for the last one at each stride.

    Tapped maps count as consecutive levels, whatever their real strides: SFNet's released DF1 hands on two of 1/32.
    """


class TimmSpec(Frozen):
    """An encoder that the timm library builds. What it returns stands here, so that rules and ids need no timm."""

    kind: Literal["timm"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    """Of the architecture, without the tag of its weights: ``resnet18``, not ``resnet18.a1_in1k``."""
    finest: Level
    """Its first level; each later one has twice the stride."""
    channels: Annotated[tuple[Width, ...], Field(min_length=1)]
    """Of its levels, finest first."""


def kind(data: Any) -> object:
    """Word that tells encoders apart: ``staged`` where there is none."""
    return data.get("kind", "staged") if isinstance(data, dict) else getattr(data, "kind", None)


AnyEncoder = Annotated[
    Annotated[EncoderSpec, Tag("staged")] | Annotated[TimmSpec, Tag("timm")],
    Discriminator(kind),
]
