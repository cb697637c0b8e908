"""Lowering: from a point's choices to the one explicit spec they stand for."""

from segsearch.space.families import FAMILIES, rates
from segsearch.space.nodes import Point, Scalar
from segsearch.spec.channels import encoder_levels, pyramid_levels
from segsearch.spec.network import NetworkSpec
from segsearch.spec.parts import (
    ConcatHead,
    ContextSpec,
    EncoderSpec,
    HeadSpec,
    NoContext,
    PlainHead,
    PyramidPoolingSpec,
    PyramidSpec,
    StageSpec,
    TopDownSpec,
)


def lower(point: Point) -> NetworkSpec:
    """Return the network that a checked point of the unified tree stands for. Pure: equal choices, equal spec."""
    finest, coarsest = _level(point["finest"]), _level(point["coarsest"])
    encoder = _cut(_encoder(point), coarsest)
    pooled = 2**coarsest > max(encoder_levels(encoder))
    # the kind of pooling is a choice that means nothing where nothing is pooled
    pyramid = PyramidSpec(finest=finest, coarsest=coarsest, pool="max" if pooled and point["pool"] == "max" else "avg")
    return NetworkSpec(
        input_scale=float(point["input_scale"]),
        align_corners=bool(point["align_corners"]),
        encoder=encoder,
        pyramid=pyramid,
        context=_context(point),
        neck=_neck(point, tuple(pyramid_levels(encoder, pyramid).values())),
        head=_head(point),
    )


def _level(name: Scalar) -> int:
    return int(str(name).removeprefix("P"))


def _arm(point: Point, name: str) -> tuple[str, dict[str, Scalar]]:
    """Return the arm taken at ``name`` and the choices inside it."""
    arm = str(point[name])
    prefix = f"{name}.{arm}."
    return arm, {key.removeprefix(prefix): value for key, value in point.items() if key.startswith(prefix)}


def _encoder(point: Point) -> EncoderSpec:
    family, choices = _arm(point, "encoder")
    return FAMILIES[family](choices, float(point["encoder_width"]))


def _cut(encoder: EncoderSpec, coarsest: int) -> EncoderSpec:
    """Drop the stages beyond the coarsest level: nobody would read them."""
    stride = max(s for s in encoder_levels(encoder.model_copy(update={"stages": ()})))
    kept: list[StageSpec] = []
    for stage in encoder.stages:
        stride *= stage.stride
        if stride <= 2**coarsest:
            kept.append(stage)
    return encoder.model_copy(update={"stages": tuple(kept)})


def _context(point: Point) -> ContextSpec:
    kind, choices = _arm(point, "context")
    if kind == "none":
        return NoContext()
    return PyramidPoolingSpec(kind="ppm", width=int(point["fusion_width"]), bins=rates(choices["bins"]))


def _neck(point: Point, channels: tuple[int, ...]) -> TopDownSpec:
    if len(channels) == 1:
        # a single level has nothing to fuse, whatever was chosen: one network, one spec
        return TopDownSpec(fusion="fpn", widths=())
    fusion, choices = _arm(point, "fusion")
    follow = choices.get("widths") == "encoder"
    widths = tuple(c if follow else int(point["fusion_width"]) for c in channels[:-1])
    return TopDownSpec.model_validate({"fusion": fusion, "widths": widths, "smooth": bool(point["smooth"])})


def _head(point: Point) -> HeadSpec:
    if point["head"] == "plain":
        return PlainHead(kind="plain")
    return ConcatHead(kind="concat", width=int(point["fusion_width"]))
