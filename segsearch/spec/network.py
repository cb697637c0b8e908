"""`NetworkSpec`: one network, and the laws it keeps."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from segsearch.errors import InputError
from segsearch.frozen import Frozen
from segsearch.spec.context import ContextSpec, NoContext
from segsearch.spec.encoder import AnyEncoder
from segsearch.spec.head import HeadSpec
from segsearch.spec.neck import NeckSpec, PyramidSpec
from segsearch.spec.rules import RULES

SCHEMA = 1
"""Raised when a field changes its meaning; new fields with defaults rename nothing."""

MIN_SIDE = 32
"""Shortest side, in pixels after `input_scale`, that a network is asked to look at."""


class NetworkSpec(Frozen):
    """One network without a name: what is deployed, and nothing of how it is trained."""

    schema_number: int = SCHEMA
    input_scale: Annotated[float, Field(ge=0.25, le=1.0)] = 1.0
    """The image is resized by this before the encoder; logits are brought back to the image's size."""
    align_corners: bool = False
    """Convention of every bilinear resize in the network."""
    encoder: AnyEncoder
    pyramid: PyramidSpec
    context: ContextSpec = NoContext()
    neck: NeckSpec
    head: HeadSpec

    @model_validator(mode="after")
    def _keeps_the_rules(self) -> Self:
        for rule in RULES:
            for complaint in rule(self):
                raise ValueError(complaint)
        return self


def scaled_size(spec: NetworkSpec, size_hw: tuple[int, int]) -> tuple[int, int]:
    """Size (H, W) in pixels that the encoder sees for an image of ``size_hw``."""
    height, width = (max(1, round(int(side) * spec.input_scale)) for side in size_hw)
    return height, width


def check_size(spec: NetworkSpec, size_hw: tuple[int, int], place: object = "size") -> None:
    """Refuse images too small to mean anything.

    Raises:
        InputError: a side is below `MIN_SIDE` after `input_scale`.

    """
    seen = scaled_size(spec, size_hw)
    if min(seen) < MIN_SIDE:
        scaled = "" if seen == size_hw else f" (x {spec.input_scale} = {seen[0]}x{seen[1]})"
        least = -(-MIN_SIDE // spec.input_scale)
        raise InputError(place, f"{size_hw[0]}x{size_hw[1]}{scaled} is too small", f"both sides at least {least:.0f}")


def collapsed_levels(spec: NetworkSpec, size_hw: tuple[int, int]) -> tuple[int, ...]:
    """Levels that repeat the one above because that is a single pixel already: nothing is wrong, nothing is gained."""
    longest = max(scaled_size(spec, size_hw))
    return tuple(k for k in range(spec.pyramid.finest, spec.pyramid.coarsest + 1) if 2 ** (k - 1) >= longest)
