"""Lowering: from the choices of a point to the explicit spec of its network."""

from collections.abc import Iterator
from dataclasses import replace

from pydantic import ValidationError

from segsearch.errors import InputError, one_line
from segsearch.space.contexts import CONTEXT_CHOICES
from segsearch.space.families.table import FAMILIES
from segsearch.space.heads import HEAD_CHOICES
from segsearch.space.necks import NECK_CHOICES, Lowered, Shared
from segsearch.space.nodes import Point, Scalar, Space
from segsearch.space.numbers import level
from segsearch.space.walk import every_point
from segsearch.spec.channels import encoder_levels, level_stages
from segsearch.spec.context import ContextSpec
from segsearch.spec.encoder import AnyEncoder, TimmSpec
from segsearch.spec.head import HeadSpec
from segsearch.spec.network import NetworkSpec


def lower(point: Point) -> NetworkSpec:
    """Return the network that a checked point of the unified tree stands for. Pure: equal choices, equal spec.

    Raises:
        InputError: choices that no search combines: a level that the encoder lacks, a neck that cannot use it; or,
            of somebody's own space, choices with other names or values than the unified space has.
    """
    try:
        return _lowered(point)
    except ValidationError as error:
        raise InputError("point", error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    except KeyError as error:
        raise InputError("point", f"has no choice or no family {error}", "the names of the space unified") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError("point", one_line(error)) from error


def _lowered(point: Point) -> NetworkSpec:
    finest, coarsest = level(point["finest"]), level(point["coarsest"])
    encoder = _cut(_encoder(point), coarsest)
    _has(encoder, finest)
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


def encoders(space: Space) -> Iterator[AnyEncoder]:
    """Yield every encoder that a search over ``space`` can propose; duplicates are possible."""
    chosen = replace(space, axes={name: space.axes[name] for name in ("encoder_width", "encoder")})
    levels = [level(name) for name in space.axes["coarsest"].proposals()]
    for point in every_point(chosen):
        whole = _encoder(point)
        yield from (_cut(whole, coarsest) for coarsest in levels)


def _arm(point: Point, name: str) -> tuple[str, dict[str, Scalar]]:
    """Return the arm taken at ``name`` and the choices inside it."""
    arm = str(point[name])
    prefix = f"{name}.{arm}."
    return arm, {key.removeprefix(prefix): value for key, value in point.items() if key.startswith(prefix)}


def _encoder(point: Point) -> AnyEncoder:
    family, choices = _arm(point, "encoder")
    return FAMILIES[family](choices, float(point["encoder_width"]))


def _has(encoder: AnyEncoder, finest: int) -> None:
    known = [f"P{stride.bit_length() - 1}" for stride in sorted(encoder_levels(encoder))]
    if f"P{finest}" not in known:
        raise InputError("finest", f"P{finest} is not among the levels of this encoder", known)


def _cut(encoder: AnyEncoder, coarsest: int) -> AnyEncoder:
    """Drop the stages beyond the coarsest level: their output would not be used."""
    if isinstance(encoder, TimmSpec):
        return encoder.model_copy(update={"channels": encoder.channels[: max(1, coarsest - encoder.finest + 1)]})
    kept = [i for stride, i in level_stages(encoder).items() if stride <= 2**coarsest]
    last = max(kept, default=-1)
    taps = tuple(tap for tap in encoder.taps if tap <= last)
    return encoder.model_copy(update={"stages": encoder.stages[: last + 1], "taps": taps})


def _context(point: Point) -> ContextSpec:
    kind, choices = _arm(point, "context")
    return CONTEXT_CHOICES[kind](choices, int(point["fusion_width"]))


def _neck(point: Point, encoder: AnyEncoder, finest: int, coarsest: int) -> Lowered:
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
