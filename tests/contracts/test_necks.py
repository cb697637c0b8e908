"""Every neck, one that will be added tomorrow included, keeps this contract, behind any encoder and between any levels."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from segsearch.deployment.deploy import fold
from segsearch.errors import InputError
from segsearch.models.necks.nodes import WeightedSum
from segsearch.models.necks.table import NECKS
from segsearch.models.network import Network, build
from segsearch.models.ops import Features
from segsearch.spec.neck import TopDownSpec, Weights
from segsearch.spec.neck_rules import OPTIONS
from segsearch.spec.network import NetworkSpec
from tests.trained import as_if_trained

STEM: dict[str, Any] = {"widths": [8, 16], "strides": [2, 1]}
ENCODERS: dict[str, dict[str, Any]] = {
    "four strided stages": {
        "stem": STEM,
        "stages": [{"block": "basic", "depth": 1, "width": w, "stride": 2} for w in (8, 16, 24, 32)],
    },
    "a stem that pools": {
        "stem": STEM | {"pool": "floor"},
        "stages": [{"block": "basic", "depth": 1, "width": w, "stride": 1 + (w > 8)} for w in (8, 16, 24)],
    },
    "two strided stages and a skip": {
        "stem": STEM,
        "stages": [
            {"block": "fpe", "depth": 2, "width": 16, "stride": s, "dilations": [1, 2], "long_skip": "concat"}
            for s in (1, 2, 2)
        ],
    },
    "one stage": {"stem": STEM, "stages": [{"block": "basic", "depth": 2, "width": 16, "stride": 2}]},
}
LAST = {"four strided stages": 5, "a stem that pools": 4, "two strided stages and a skip": 3, "one stage": 2}

SPECS: dict[str, list[dict]] = {
    "topdown": [
        {"fusion": "fpn"},
        {"fusion": "fpn", "style": "eseg", "smooth": True},
        {"fusion": "fam", "smooth": True},
        {"fusion": "meu", "attention": "channel"},
        {"fusion": "meu", "code": "xiaoyufenfei"},
        {"fusion": "up"},
    ],
    "bidirectional": [
        {"width": 16, "repeats": 2},
        {"width": 16, "paths": ["down", "up"], "smooth": True, "pool": "avg"},
        {"width": 16, "paths": ["down", "up", "down"], "weights": "relu", "separate_skips": True, "bias": True},
        {"width": 16, "paths": ["down"], "weights": "plain", "pool_kernel": 5},
    ],
    "aggregate": [
        {"networks": 3, "width": 16},
        {"networks": 4, "width": 16, "decoder": "high", "smooth": True},
        {"networks": 2, "decoder": "none"},
        {"networks": 1, "width": 16},
        {"networks": 2, "width": 16, "code": "huaifeng1993"},
        {"networks": 4, "decoder": "none", "code": "huaifeng1993"},
    ],
    "skip": [{"low": 8, "width": 16}, {"low": 8, "width": 16, "smooth": True}],
}
HEADS: dict[str, dict[str, Any]] = {
    "plain": {"kind": "plain"},
    "concat": {"kind": "concat", "width": 16},
    "weighted": {"kind": "weighted", "width": 16},
}
OF_ALL_FUSIONS = {"kind", "fusion", "widths", "smooth"}
OWN = [field for field in TopDownSpec.model_fields if field not in OF_ALL_FUSIONS]
TRIED: dict[str, list[object]] = {"warps": [[2, 3]]}
"""Values of an option whose type does not list them."""
CASES = [(name, neck) for name, necks in SPECS.items() for neck in necks]
BY_NAME = [f"{name}-{i}" for name, necks in SPECS.items() for i in range(len(necks))]


def made(name: str, neck: dict, encoder: str, finest: int, coarsest: int, head: str = "concat", **parts: object):
    """Network of one neck: on PF..PC, the latter pooled if beyond the encoder, the encoder cut if finer."""
    last = LAST[encoder]
    coarsest = min(coarsest, last) if name == "aggregate" else coarsest
    pyramid: dict[str, Any] = {"finest": min(finest, coarsest), "coarsest": coarsest}
    if neck.get("bias"):
        own = min(last, coarsest) - pyramid["finest"] + 1
        pyramid |= {"at": "neck" if coarsest > last else "encoder", "expand": [24] * own}
    if name == "topdown":
        neck = neck | {"widths": [16] * (coarsest - pyramid["finest"])}
    body = dict(ENCODERS[encoder])
    spare = max(0, last - coarsest)
    body["stages"] = body["stages"][: len(body["stages"]) - spare]
    data = {"encoder": body, "pyramid": pyramid, "neck": {"kind": name, **neck}, "head": HEADS[head], **parts}
    return build(NetworkSpec.parse(data, "network"), 5)


def watched(network: Network, image: Tensor) -> Features:
    seen: Features = {}
    network.head.register_forward_pre_hook(lambda module, args: seen.update(args[0]))
    network(image)
    return seen


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))


def test_every_neck_is_tried() -> None:
    assert set(SPECS) == set(NECKS), "SPECS in this file has specs to try of each neck in models/necks/table.py"


@pytest.mark.parametrize(("name", "neck"), CASES, ids=BY_NAME)
def test_a_spec_survives_json(name: str, neck: dict) -> None:
    with torch.device("meta"):
        spec = made(name, neck, "four strided stages", 2, 6).spec
    again = NetworkSpec.model_validate_json(spec.canonical())
    assert again == spec and again.id == spec.id
    assert ('"topdown"' in spec.canonical()) is False, "specs of the first neck there was name no kind"


@pytest.mark.parametrize(("name", "neck"), CASES, ids=BY_NAME)
@pytest.mark.parametrize("encoder", ENCODERS)
@torch.no_grad()
def test_declared_channels_and_strides_are_real(name: str, neck: dict, encoder: str) -> None:
    for finest, coarsest in ((1, 3), (2, 5), (2, 7), (2, 2)):
        for head in ("plain", "concat"):  # reads one level, or all as `weighted` does
            network = made(name, neck, encoder, finest, coarsest, head).eval()
            for size in ((64, 96), (65, 99), (33, 47)):
                seen = watched(network, torch.randn(1, 3, *size))
                assert {s: f.shape[1] for s, f in seen.items()} == {
                    s: network.neck.channels[s] for s in network.neck.read
                }
                for stride, f in seen.items():
                    assert tuple(f.shape[-2:]) == tuple(-(-side // stride) for side in size), (finest, coarsest)


@pytest.mark.parametrize(("name", "neck"), CASES, ids=BY_NAME)
@pytest.mark.parametrize("head", HEADS)
def test_every_weight_gets_a_gradient(name: str, neck: dict, head: str) -> None:
    spans = ((1, 4), (2, 7), (2, 2))
    for i, encoder in enumerate(ENCODERS):  # every head meets every encoder and every span
        for finest, coarsest in (spans[(i + list(HEADS).index(head)) % len(spans)],):
            network = made(name, neck, encoder, finest, coarsest, head)
            network(torch.randn(2, 3, 64, 64)).square().sum().backward()
            dead = [n for n, p in network.named_parameters() if p.grad is None]
            assert not dead, (encoder, finest, coarsest)


@pytest.mark.parametrize(("name", "neck"), CASES, ids=BY_NAME)
@torch.no_grad()
def test_images_of_a_batch_do_not_mix(name: str, neck: dict) -> None:
    network = as_if_trained(made(name, neck, "four strided stages", 2, 6))
    images = torch.randn(2, 3, 65, 70)
    close(network(images)[:1], network(images[:1]))


@pytest.mark.parametrize(("name", "neck"), CASES, ids=BY_NAME)
@torch.no_grad()
def test_folded_and_exported_it_gives_the_same(name: str, neck: dict) -> None:
    network = as_if_trained(made(name, neck, "a stem that pools", 2, 6, "weighted"))
    image = torch.randn(1, 3, 65, 70)
    logits = network(image)
    folded = fold(network)
    assert not [n for n, _ in folded.named_parameters() if n.endswith("sum.weights")], "learnt scalars are constants"
    close(folded(image), logits)
    close(torch.export.export(folded, (image,), strict=False).module()(image), logits)
    close(network(image), logits)


@pytest.mark.parametrize("option", OWN)
@torch.no_grad()
def test_an_option_of_a_fusion_changes_its_network(option: str) -> None:
    assert option in OPTIONS, f"spec/neck_rules.py OPTIONS names the one fusion that has {option}, and its default"
    (fusion, default), field = OPTIONS[option], TopDownSpec.model_fields[option]
    assert default == field.default, f"{option} has one default in spec/neck_rules.py OPTIONS and one in spec/neck.py"
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def logits(**given: object) -> Tensor:
        torch.manual_seed(0)
        return made("topdown", {"fusion": fusion, **given}, "four strided stages", 2, 5).eval()(image)

    others = TRIED.get(option) or [value for value in get_args(field.annotation) if value != default]
    assert others, f"TRIED in this test needs a value of {option}"
    for value in others:
        unread = f"neck.{option}: {value} changes no network: `_pair` in models/necks/topdown.py gives it to {fusion}"
        assert not torch.equal(logits(**{option: value}), logits()), unread


@torch.no_grad()
def test_sums_weigh_as_their_papers_say() -> None:
    maps = [torch.full((1, 1, 1, 1), value) for value in (1.0, 10.0, 100.0)]
    kind: Weights
    for kind, expected in (("softmax", 37.0), ("relu", 111 / 3.0001), ("plain", 111.0)):
        assert float(WeightedSum(3, kind)(*maps)) == pytest.approx(expected)
    half = WeightedSum(2, "relu")
    half.weights.data = torch.tensor([-3.0, 2.0])
    assert float(half(*maps[:2])) == pytest.approx(10 * 2 / 2.0001)


def test_frozen_scalars_are_no_parameters() -> None:
    frozen = WeightedSum(2, "softmax")
    frozen.freeze_scalars()
    frozen.freeze_scalars()
    assert not list(frozen.parameters())
    assert float(frozen(torch.tensor(1.0), torch.tensor(2.0))) == 1.5


def test_a_later_network_has_weights_of_its_own() -> None:
    network = made("aggregate", SPECS["aggregate"][0], "four strided stages", 2, 5)
    first, second = network.neck.networks
    shared = {id(p) for p in network.encoder.parameters()} & {id(p) for p in network.neck.parameters()}
    assert not shared
    assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}


def test_a_1x1_shared_by_later_networks_needs_maps_of_one_width() -> None:
    grows = {"block": "fpe", "depth": 1, "width": 16, "stride": 1, "dilations": [1, 2], "long_skip": "concat"}
    data = {
        "encoder": {"stem": STEM | {"pool": "floor"}, "stages": [grows]},
        "pyramid": {"finest": 2, "coarsest": 2},
        "neck": {"kind": "aggregate", "networks": 3, "code": "huaifeng1993"},
        "head": HEADS["plain"],
    }
    with pytest.raises(InputError, match=r"neck.code: huaifeng1993 reads all later .*, got \[48, 64\] channels"):
        NetworkSpec.parse(data, "network")


@pytest.mark.parametrize(
    ("name", "neck", "pyramid", "message"),
    [
        ("bidirectional", {"width": 8, "paths": ["up", "down"]}, {}, "down and up in turns, down first"),
        ("bidirectional", {"width": 8, "paths": ["down"], "separate_skips": True}, {}, "there is no up path"),
        ("bidirectional", {"width": 8}, {"expand": [8]}, "4 levels of the encoder need as many widths, got 1"),
        ("topdown", {"fusion": "up", "widths": [8] * 3}, {"expand": [8] * 4}, "may leave a widened level unread"),
        ("topdown", {"fusion": "fam", "widths": [8] * 4}, {"coarsest": 6, "at": "neck"}, "pools no levels itself"),
        ("topdown", {"fusion": "up", "widths": [8] * 3, "warps": [2]}, {}, "neck.warps: is an option of fam, got up"),
        ("topdown", {"fusion": "fam", "widths": [8] * 3, "warps": [2, 3, 4]}, {}, "some but not all"),
        ("topdown", {"fusion": "fam", "widths": [8] * 3, "warps": [5]}, {}, "fused levels 2, 3, 4"),
        ("topdown", {"fusion": "fam", "widths": [8] * 3, "style": "eseg"}, {}, "is an option of fpn"),
        ("aggregate", {}, {"coarsest": 6}, "ends with the encoder, at P5"),
        ("aggregate", {"networks": 5}, {}, "less than or equal to 4, got 5"),
        (
            "aggregate",
            {"networks": 1, "decoder": "high", "code": "huaifeng1993"},
            {},
            "is the paper's, got huaifeng1993",
        ),
        ("topdown", {"fusion": "up", "widths": [8] * 3, "code": "xiaoyufenfei"}, {}, "neck.code: is an option of meu"),
        ("tree", {}, {}, "'tree' is not known"),
    ],
)
def test_refusals_say_place_law_and_value(name: str, neck: dict, pyramid: dict, message: str) -> None:
    data = {
        "encoder": ENCODERS["four strided stages"],
        "pyramid": {"finest": 2, "coarsest": 5} | pyramid,
        "neck": {"kind": name, **neck},
        "head": HEADS["plain"],
    }
    with pytest.raises(InputError, match=message) as caught:
        NetworkSpec.parse(data, "network")
    assert "\n" not in str(caught.value)
