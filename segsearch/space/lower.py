"""Lowering: from a point's choices to the one explicit spec they stand for."""

from segsearch.space.contexts import CONTEXT_CHOICES
from segsearch.space.families.table import FAMILIES
from segsearch.space.heads import HEAD_CHOICES
from segsearch.space.necks import NECK_CHOICES, Lowered, Shared
from segsearch.space.nodes import Point, Scalar
from segsearch.spec.channels import level_stages
from segsearch.spec.context import ContextSpec
from segsearch.spec.encoder import EncoderSpec
from segsearch.spec.head import HeadSpec
from segsearch.spec.network import NetworkSpec


def lower(point: Point) -> NetworkSpec:
    """Return the network that a checked point of the unified tree stands for. Pure: equal choices, equal spec."""
    finest, coarsest = _level(point["finest"]), _level(point["coarsest"])
    encoder = _cut(_encoder(point), coarsest)
    pyramid, neck = _neck(point, encoder, finest, coarsest)
    return NetworkSpec(
        input_scale=float(point["input_scale"]),
        align_corners=bool(point["align_corners"]),
        encoder=encoder,
        pyramid=pyramid,
        context=_context(point),
        neck=neck,
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
    kept = [i for stride, i in level_stages(encoder).items() if stride <= 2**coarsest]
    last = max(kept, default=-1)
    taps = tuple(tap for tap in encoder.taps if tap <= last)
    return encoder.model_copy(update={"stages": encoder.stages[: last + 1], "taps": taps})


def _context(point: Point) -> ContextSpec:
    kind, choices = _arm(point, "context")
    return CONTEXT_CHOICES[kind](choices, int(point["fusion_width"]))


def _neck(point: Point, encoder: EncoderSpec, finest: int, coarsest: int) -> Lowered:
    kind, choices = _arm(point, "fusion")
    shared = Shared(
        encoder=encoder,
        finest=finest,
        coarsest=coarsest,
        pool="max" if point["pool"] == "max" else "avg",
        width=int(point["fusion_width"]),
        smooth=bool(point["smooth"]),
        only_finest=point["head"] == "plain",
    )
    return NECK_CHOICES[kind](choices, shared)


def _head(point: Point) -> HeadSpec:
    kind, choices = _arm(point, "head")
    return HEAD_CHOICES[kind](choices, int(point["fusion_width"]))
