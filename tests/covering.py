"""Few points of the unified space in which every value of an axis meets every value of each other axis."""

import itertools
import random
from functools import cache

from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.walk import sample
from segsearch.spec.encoder import EncoderSpec

AXES = ("encoder", "fusion", "context", "head", "coarsest")
CANDIDATES = 2000


def sampled(count: int, seed: int) -> list[Point]:
    """Random points of the unified space."""
    space, rng = load_space("unified"), random.Random(seed)
    return [sample(space, rng) for _ in range(count)]


def pairs(point: Point) -> set[tuple[object, ...]]:
    """Pairs of parts that meet in a point."""
    return {(a, point[a], b, point[b]) for a, b in itertools.combinations(AXES, 2)}


@cache
def covering(seed: int = 0) -> tuple[Point, ...]:
    """About 70 sampled points with all the pairs that `CANDIDATES` of them have; shallow encoders first, as they are quick."""
    left = [(point, pairs(point), _blocks(point)) for point in sampled(CANDIDATES, seed)]
    missing, chosen = set().union(*(met for _, met, _ in left)), []
    while missing:
        best = max(left, key=lambda row: len(row[1] & missing) / (10 + row[2]))
        missing -= best[1]
        chosen.append(best[0])
    return tuple(chosen)


def _blocks(point: Point) -> int:
    encoder = lower(point).encoder
    assert isinstance(encoder, EncoderSpec)
    return sum(stage.depth for stage in encoder.stages)


def name(point: Point) -> str:
    """Id of a test's parameter."""
    return "-".join(str(point[axis]) for axis in AXES)
