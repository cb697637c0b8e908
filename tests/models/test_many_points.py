"""The whole space in bulk: every point lowers, every pair of parts meets, and far more networks than a search tries run."""

import itertools
import json
import random

import pytest
import torch

from segsearch.models.build import build
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.walk import check, sample
from segsearch.spec.network import NetworkSpec

UNIFIED = load_space("unified")
AXES = ("encoder", "fusion", "context", "coarsest")


def points(count: int, seed: int) -> list[Point]:
    rng = random.Random(seed)
    return [sample(UNIFIED, rng) for _ in range(count)]


def test_ten_thousand_points_lower_and_check() -> None:
    drawn = points(10_000, 0)
    specs = [lower(check(UNIFIED, point)) for point in drawn]
    assert all(NetworkSpec.parse(json.loads(spec.canonical()), "spec") == spec for spec in specs), "each obeys its laws"
    ids = {spec.id for spec in specs}
    assert len(ids) > 9_000, "few points are the same network"


def test_every_pair_of_parts_occurs() -> None:
    """Encoder, fusion, context and coarsest level: each value of one meets each value of the others."""
    nodes = dict(UNIFIED.nodes())
    drawn = points(1_000, 1)
    for a, b in itertools.combinations(AXES, 2):
        met = {(point[a], point[b]) for point in drawn}
        values = [nodes[name].proposals() for name in (a, b)]
        assert met == set(itertools.product(*values)), f"{a} x {b}"


@pytest.mark.nightly
@pytest.mark.parametrize("shard", range(10))
@torch.no_grad()
def test_a_thousand_run_without_memory(shard: int) -> None:
    """On the meta device, at three sizes, odd ones among them."""
    for point in points(100, 100 + shard):
        with torch.device("meta"):
            network = build(lower(point), 19).eval()
            for size in ((512, 1024), (363, 477), (64, 96)):
                assert network(torch.empty(1, 3, *size)).shape == (1, 19, *size)


def learns_and_exports(seed: int) -> None:
    network = build(lower(points(1, seed)[0]), 5, "both")
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    image, label = torch.randn(4, 3, 64, 96), torch.randint(0, 5, (4, 64, 96))
    before = [p.clone() for p in network.parameters()]
    loss = torch.nn.functional.cross_entropy(network.supervise(image)[0], label)
    loss.backward()
    # four images leave BatchNorm four values at the coarsest levels (two let deep networks overflow), hence the clip
    torch.nn.utils.clip_grad_value_(network.parameters(), 1.0)
    optimizer.step()
    assert loss.isfinite()
    assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    network.eval()
    with torch.no_grad():
        exported = torch.export.export(network, (image,), strict=False).module()
        torch.testing.assert_close(exported(image), network(image))


@pytest.mark.parametrize("seed", range(1000, 1100))
def test_points_learn_and_export(seed: int) -> None:
    learns_and_exports(seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2000, 2200))
def test_two_hundred_points_learn_and_export(seed: int) -> None:
    learns_and_exports(seed)
