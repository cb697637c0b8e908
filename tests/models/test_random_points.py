"""Any mixture of parts is a valid network: random points of the unified space, not only the named ones.

Every run lowers 3,000 points and runs 50 networks; some 70, in which every pair of parts meets, also learn and are
folded, and a third of them is exported. `make nightly` does that with 300 random ones, runs 200, and a thousand at full size
on the meta device.
"""

import itertools
import json

import pytest
import torch
from torch import Tensor, nn

from segsearch.deployment.deploy import fold
from segsearch.models.network import Network, build
from segsearch.models.ops import Features
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.walk import check
from segsearch.spec.channels import encoder_levels, pyramid_levels
from segsearch.spec.network import NetworkSpec, scaled_size
from tests.covering import AXES, covering, name, sampled
from tests.trained import as_if_trained

SIZE = (45, 61)
CLASSES = 5


def test_three_thousand_points_lower_and_check() -> None:
    space = load_space("unified")
    specs = [lower(check(space, point)) for point in sampled(3_000, 0)]
    assert all(NetworkSpec.parse(json.loads(spec.canonical()), "spec") == spec for spec in specs[:300])
    assert len({spec.id for spec in specs}) > 2_800, "few points are the same network"


def test_every_pair_of_parts_occurs() -> None:
    """Encoder, fusion, context, head and coarsest level: each value of one meets each value of the others."""
    nodes = dict(load_space("unified").nodes())
    for a, b in itertools.combinations(AXES, 2):
        met = {(point[a], point[b]) for point in covering()}
        assert met == set(itertools.product(nodes[a].proposals(), nodes[b].proposals())), f"{a} x {b}"


def watch(network: Network) -> dict[str, Features]:
    seen: dict[str, Features] = {}
    for part in ("encoder", "levels"):
        getattr(network, part).register_forward_hook(lambda m, args, out, part=part: seen.__setitem__(part, out))
    network.head.register_forward_pre_hook(lambda m, args: seen.__setitem__("neck", args[0]))
    return seen


def declared(features: Features) -> dict[int, int]:
    return {stride: f.shape[1] for stride, f in features.items()}


def assert_kept(network: Network, seen: dict[str, Features], size: tuple[int, int]) -> None:
    """Channels are as declared, and a map of stride s has ceil(side / s) pixels (one more where the stem's pool rounds up)."""
    spec = network.spec
    assert declared(seen["encoder"]) == network.encoder.channels == encoder_levels(spec.encoder)
    assert declared(seen["levels"]) == network.levels.channels == pyramid_levels(spec.encoder, spec.pyramid)
    assert declared(seen["neck"]) == {s: network.neck.channels[s] for s in network.neck.read}
    for features in seen.values():
        for stride, f in features.items():
            for side, pixels in zip(f.shape[-2:], scaled_size(spec, size), strict=True):
                assert 0 <= side - -(-pixels // stride) <= (spec.encoder.stem.pool == "ceil")


@torch.no_grad()
def assert_runs(network: Network, image: Tensor) -> Tensor:
    """Logits of the image's size, and every map as it was declared."""
    seen = watch(network)
    logits: Tensor = network(image)
    assert logits.shape == (1, CLASSES, *image.shape[-2:])
    assert_kept(network, seen, (image.shape[-2], image.shape[-1]))
    return logits


@pytest.mark.parametrize("shard", [0, 1, *(pytest.param(shard, marks=pytest.mark.nightly) for shard in range(2, 8))])
def test_two_hundred_run(shard: int) -> None:
    for point in sampled(25, 100 + shard):
        network = build(lower(point), CLASSES).eval()
        assert assert_runs(network, torch.randn(1, 3, *SIZE)).isfinite().all()


@pytest.mark.nightly
@pytest.mark.parametrize("shard", range(10))
def test_a_thousand_run_at_full_size_without_memory(shard: int) -> None:
    for point in sampled(100, 200 + shard):
        with torch.device("meta"):
            network = build(lower(point), CLASSES).eval()
            for size in ((512, 1024), (363, 477), (64, 96)):
                assert_runs(network, torch.empty(1, 3, *size))


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))


def assert_learns(network: Network) -> None:
    """A step changes weights, and none is without a gradient: that would be dead weight in every count."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    image, label = torch.randn(4, 3, *SIZE), torch.randint(0, CLASSES, (4, *SIZE))
    before = [p.clone() for p in network.parameters()]
    logits, *others = network.supervise(image)
    loss = nn.functional.cross_entropy(logits, label) + sum(o.square().mean() for o in others)
    loss.backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None]
    # four images leave BatchNorm four values at the coarsest levels (two let deep networks overflow), hence the clip
    torch.nn.utils.clip_grad_value_(network.parameters(), 1.0)
    optimizer.step()
    assert loss.isfinite()
    assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


@torch.no_grad()
def assert_folds_and_exports(network: Network, *, exports: bool = True) -> None:
    image = torch.randn(1, 3, *SIZE)
    logits = assert_runs(network, image)
    assert logits.isfinite().all()
    folded = fold(network)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    close(folded(image), logits)
    if not exports:
        return
    exported = torch.export.export(folded, (image,), strict=False)
    close(exported.module()(image), logits)


@pytest.mark.parametrize("point", covering(), ids=name)
def test_any_pair_of_parts_learns_folds_and_exports(point: Point) -> None:
    network = build(lower(point), CLASSES, "both")
    assert_learns(network)
    assert_folds_and_exports(as_if_trained(network), exports=covering().index(point) % 3 == 0)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(300))
def test_any_point_learns_folds_and_exports(seed: int) -> None:
    network = build(lower(sampled(1, 1000 + seed)[0]), CLASSES, "both")
    assert_learns(network)
    assert_folds_and_exports(as_if_trained(network))
