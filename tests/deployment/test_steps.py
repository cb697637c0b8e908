"""Every step keeps the logits, of random points too, and leaves nothing in the graph that a CUDA graph cannot hold."""

import copy
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from segsearch.deployment.deploy import deploy, network_masks
from segsearch.deployment.deployable import Deployable
from segsearch.deployment.masks import CellMask, PlainMask, RowMask
from segsearch.deployment.steps import FOLDING, STEPS
from segsearch.errors import InputError
from segsearch.models.coarse import CoarseMerge
from segsearch.models.context import CONTEXTS
from segsearch.models.fusions import FAM, FUSIONS, MEU, Warp
from segsearch.models.necks.nodes import WeightedSum
from segsearch.models.network import Network, build
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.points import named_points
from tests.covering import covering, name, sampled
from tests.deployment.networks import CLASSES, MEAN, STD, Small, pictures, randomized

ODD, EVEN = (75, 101), (64, 128)
NAMED = ("fpenet", "sfnet_r18", "sfnet_df1", "dfanet_a", "sgcpnet1", "eseg_lite_s")


def as_batch(size_hw: tuple[int, int]) -> Tensor:
    return torch.from_numpy(pictures(1, size_hw)[0]).permute(2, 0, 1)[None].contiguous()


@cache
def named(name: str) -> Network:
    """One network for all tests: deploying leaves it alone, as is tested here, and whoever changes it copies it."""
    return of(named_points()[name].choices)


def of(point: Point) -> Network:
    network = build(lower(point), len(CLASSES))
    randomized(network)
    return network.eval()


def plain_logits(network: nn.Module, image: Tensor) -> Tensor:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    with torch.no_grad():
        return network((image / 255 - mean) / std)


def assert_same(network: nn.Module, size_hw: tuple[int, int], without: tuple[str, ...] = ()) -> None:
    image = as_batch(size_hw)
    expected = plain_logits(network, image)
    logits = deploy(network, size_hw, MEAN, STD, logits=True, without=without)(image)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def assert_same_mask(network: nn.Module, size_hw: tuple[int, int], without: tuple[str, ...] = ()) -> None:
    image = as_batch(size_hw)
    expected = plain_logits(network, image)
    deployed = deploy(network, size_hw, MEAN, STD, without=without)
    for mask in (deployed(image), deployed.fused()(image)):
        assert mask.shape == (1, *size_hw) and mask.dtype == torch.uint8
        assert (mask == expected.argmax(1)).float().mean() >= 0.999


@pytest.mark.parametrize("size_hw", [ODD, EVEN], ids=str)
@pytest.mark.parametrize("name", NAMED)
def test_papers_networks_stay_the_same(name: str, size_hw: tuple[int, int]) -> None:
    assert_same(named(name), size_hw)
    assert_same_mask(named(name), size_hw)


@pytest.mark.parametrize("point", covering()[::3], ids=name)
def test_mixed_points_stay_the_same(point: Point) -> None:
    network = of(point)
    assert_same(network, ODD)
    assert_same_mask(network, EVEN)


@pytest.mark.nightly
@pytest.mark.parametrize("point", sampled(100, 3000), ids=name)
def test_random_points_stay_the_same(point: Point) -> None:
    test_mixed_points_stay_the_same(point)


@pytest.mark.parametrize("step", [*FOLDING, *STEPS])
def test_any_step_can_be_left_out(step: str) -> None:
    for known in ("fpenet", "sfnet_df1", "sgcpnet1"):
        (assert_same_mask if step == "mask" else assert_same)(named(known), EVEN, (step,))


def test_a_step_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"without: 'magic' is no step \(allowed: auxiliary, "):
        deploy(Small(), (32, 32), MEAN, STD, without=("magic",))


def test_every_hook_is_some_modules() -> None:
    networks = [named("fpenet"), named("sfnet_df1"), named("sgcpnet1")]
    kinds = {type(module) for network in networks for module in network.modules() if isinstance(module, Deployable)}
    hooks = [name for name in vars(Deployable) if not name.startswith("_")]
    nowhere = [hook for hook in hooks if all(getattr(kind, hook) is getattr(Deployable, hook) for kind in kinds)]
    assert nowhere == ["fold_norms"]  # timm's encoders have it: tests/models/test_timm_encoder.py


@pytest.mark.parametrize("point", covering()[1::9], ids=name)
def test_the_given_network_is_left_alone(point: Point) -> None:
    network = of(point)
    before = copy.deepcopy(network)
    deploy(network, (64, 96), MEAN, STD)
    assert network.state_dict().keys() == before.state_dict().keys() and str(network) == str(before)
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(network(image), before(image))


def has(network: nn.Module, kind: type[nn.Module]) -> bool:
    return any(isinstance(m, kind) for m in network.modules())


def test_steps_do_what_they_name() -> None:
    fpenet = deploy(named("fpenet"), EVEN, MEAN, STD).network
    meus = [m for m in fpenet.modules() if isinstance(m, MEU)]
    assert meus and not any(m.resizes_first or m.averages_first for m in meus)
    assert not deploy(named("fpenet"), EVEN, MEAN, STD).scales
    sfnet = deploy(named("sfnet_df1"), EVEN, MEAN, STD).network
    assert has(sfnet, CoarseMerge) and not has(sfnet, nn.BatchNorm2d)
    assert all(m.zero_flow is not None for m in sfnet.modules() if isinstance(m, Warp))
    assert isinstance(deploy(named("sgcpnet1"), EVEN, MEAN, STD).fused().mask, CellMask)
    assert isinstance(deploy(named("sgcpnet1"), ODD, MEAN, STD).fused().mask, RowMask)
    assert isinstance(deploy(named("sfnet_df1"), EVEN, MEAN, STD).fused().mask, RowMask)  # aligned corners
    assert isinstance(deploy(named("sgcpnet1"), EVEN, MEAN, STD, without=("mask",)).fused().mask, PlainMask)


def products(name: str, without: tuple[str, ...] = ()) -> list[int]:
    """Elements of every map that the graph multiplies by a number outside of convolutions."""
    deployed = deploy(named(name), EVEN, MEAN, STD, without=without)
    program = torch.export.export(deployed.network, (torch.zeros(1, 3, *EVEN),), strict=False)
    mul = [n for n in program.graph.nodes if str(n.target) == "aten.mul.Tensor" and isinstance(n.args[1], float)]
    return [n.meta["val"].numel() for n in mul]


@pytest.mark.parametrize("name", ["eseg_lite_s", "sgcpnet1", pytest.param("eseg_r50", marks=pytest.mark.nightly)])
def test_weights_of_sums_move_into_convolutions(name: str) -> None:
    before, after = products(name, ("weights",)), products(name)
    assert len(after) < 0.6 * len(before) and sum(after) < 0.25 * sum(before)


def test_a_weight_stays_where_it_cannot_move() -> None:
    network = copy.deepcopy(named("sgcpnet1"))
    for module in network.modules():
        if isinstance(module, WeightedSum) and module.kind != "plain":
            module.weights.data[0] = -1 if module.kind == "relu" else -30
    assert_same(network, EVEN)


def lowly(network: nn.Module, size_hw: tuple[int, int]) -> set[str]:
    """Operations of the exported graph that make a tensor on the CPU, or read one there, whatever device runs it."""
    program = torch.export.export(deploy(network, size_hw, MEAN, STD), (as_batch(size_hw),), strict=False)
    words = (
        "linspace",
        "arange",
        "zeros",
        "ones",
        "full",
        "scalar_tensor",
        "_local_scalar_dense",
        "_to_cpu",
        "lift_fresh",
    )
    nodes = [n for n in program.graph.nodes if n.op == "call_function"]
    return {str(n.target) for n in nodes if any(w in str(n.target) for w in words)}


CASES = {
    "contexts": sorted(CONTEXTS),
    "fusions": sorted(FUSIONS),
}


def networks_by(kind: str) -> dict[str, Network]:
    """One small network for each row of a table."""
    found: dict[str, Network] = {}
    for spec in map(lower, covering()):
        word = spec.context.kind if kind == "contexts" else getattr(spec.neck, "fusion", None)
        if word in CASES[kind] and word not in found:
            found[word] = build(spec, len(CLASSES)).eval()
    return found


@pytest.mark.parametrize("kind", CASES)
def test_nothing_is_made_on_the_cpu_while_it_runs(kind: str) -> None:
    networks = networks_by(kind)
    assert sorted(networks) == CASES[kind]
    for network in networks.values():
        assert not lowly(network, (64, 96))


def test_without_its_grid_a_warp_makes_one() -> None:
    program = torch.export.export(
        deploy(named("sfnet_df1"), (64, 96), MEAN, STD, without=("grids",)), (as_batch((64, 96)),), strict=False
    )
    assert any("linspace" in str(n.target) for n in program.graph.nodes), "the check above would see it"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["fpenet", "sfnet_df1", "sgcpnet1"])
def test_a_copy_in_half_precision_runs(name: str, dtype: torch.dtype) -> None:
    deployed = deploy(named(name), (64, 128), MEAN, STD)
    half = copy.deepcopy(deployed).to(dtype)
    image = as_batch((64, 128))
    with torch.no_grad():
        assert (half(image) == deployed(image)).float().mean() > 0.9
    exact = [m.zero_flow for m in half.modules() if isinstance(m, Warp)]
    kept = [m.zero_flow for m in deployed.modules() if isinstance(m, Warp)]
    for a, b in zip(exact, kept, strict=True):
        assert a is not None and b is not None and torch.equal(a, b)


@pytest.mark.parametrize("name", ["fpenet", "sfnet_df1", "sgcpnet1"])
def test_a_copy_with_channels_last_gives_the_same_masks(name: str) -> None:
    deployed, image = deploy(named(name), (64, 128), MEAN, STD), as_batch((64, 128))
    last = copy.deepcopy(deployed).to(memory_format=torch.channels_last)
    assert (last(image) == deployed(image)).float().mean() >= 0.999


def test_the_border_knows_no_shift() -> None:
    """A black image is far from zero once normalised: a shift folded into the first bias would show at the border."""
    network, image = named("sgcpnet1"), torch.zeros(1, 3, *ODD, dtype=torch.uint8)
    logits = deploy(network, ODD, MEAN, STD, logits=True)(image)
    torch.testing.assert_close(logits, plain_logits(network, image), rtol=1e-4, atol=1e-4)


def test_a_flow_is_unfolded_only_where_it_was() -> None:
    fusion = FAM(8, 8, 8, False)
    assert fusion.warp.zero_flow is None and "warp.zero_flow" not in fusion.state_dict()


def test_masks_are_those_of_the_plain_network_on_pictures() -> None:
    network = named("sfnet_df1")
    expected, deployed = network_masks(network, MEAN, STD), deploy(network, EVEN, MEAN, STD)
    for image in pictures(3, EVEN, seed=4):
        mask = deployed(torch.from_numpy(image).permute(2, 0, 1)[None])[0].numpy()
        assert (mask == expected(image)).mean() >= 0.999
