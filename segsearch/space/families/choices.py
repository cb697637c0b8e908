"""Shared by all families: the type of their choices, and the limit on an encoder's output stride."""

from collections.abc import Mapping

from segsearch.space.nodes import Scalar
from segsearch.spec.channels import stage_strides
from segsearch.spec.encoder import EncoderSpec, StageSpec

Choices = Mapping[str, Scalar]
"""What was chosen inside a family's arm, by name."""


def limit_stride(encoder: EncoderSpec, output_stride: int) -> EncoderSpec:
    """Replace strides beyond ``output_stride`` by dilation, which keeps the receptive fields (DeepLab)."""
    stages: list[StageSpec] = []
    for stage, stride in zip(encoder.stages, stage_strides(encoder), strict=True):
        rate = max(1, stride // output_stride)
        kept = 1 if rate > 1 else stage.stride
        rates = tuple(rate * own for own in stage.dilations)
        stages.append(stage.model_copy(update={"stride": kept, "dilations": rates}))
    return encoder.model_copy(update={"stages": tuple(stages)})
