"""The spaces beside the unified one: parts of it, one per paper and one for real time."""

import random

import pytest

from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Space
from segsearch.space.points import named_points
from segsearch.space.walk import check, sample

UNIFIED = load_space("unified")
PAPERS = ("sfnet", "dfanet", "eseg", "fpenet", "sgcpnet")
NAMES = (*PAPERS, "realtime")


@pytest.mark.parametrize("name", NAMES)
def test_is_a_part_of_the_unified_space(name: str) -> None:
    space = load_space(name)
    assert space.name == name
    whole = dict(UNIFIED.nodes())
    for dotted, node in space.nodes():
        assert set(node.accepted()) <= set(whole[dotted].accepted()), dotted
    assert space.size < UNIFIED.size


@pytest.mark.parametrize("name", NAMES)
def test_samples_lower_and_lie_in_the_unified_space(name: str) -> None:
    space, rng = load_space(name), random.Random(0)
    ids = set()
    for _ in range(200):
        point = sample(space, rng)
        assert check(UNIFIED, check(space, point)) == point
        ids.add(lower(point).id)
    assert len(ids) > 50


@pytest.mark.parametrize("paper", PAPERS)
def test_holds_every_point_of_its_paper(paper: str) -> None:
    space: Space = load_space(paper)
    for name, point in named_points().items():
        if point.paper == paper:
            check(space, point.choices, name)
