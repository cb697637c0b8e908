"""Two public re-implementations: every tensor has its place, and the outputs are those of their code.

`golden_public.json` holds what that code gives in float64 under weights drawn by tensor name, as in `test_golden`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from test_golden import REFERENCE, drawn, shapes
from torch import Tensor

from segsearch.export.deploy import fold
from segsearch.importer import Imported, import_state
from segsearch.models.build import build
from segsearch.models.released import RELEASES, from_released, renamed
from segsearch.space.points import named_points

POINTS = ("fpenet_xiaoyufenfei", "dfanet_huaifeng1993")
GOLDEN = json.loads((Path(__file__).parent / "golden_public.json").read_text())


def norm(name: str) -> Iterator[str]:
    yield from (f"{name}.{kind}" for kind in ("weight", "bias", "running_mean", "running_var"))


def fpenet_names() -> Iterator[str]:
    yield "conv1.weight"
    yield from norm("bn1")
    for layer, depth in (("layer1", 1), ("layer2", 3), ("layer3", 9)):
        for i in range(depth):
            for part in ("1", "2.0", "2.1", "2.2", "2.3", "3"):
                yield f"{layer}.{i}.conv{part}.weight"
                yield from norm(f"{layer}.{i}.bn{part}")
        if depth > 1:
            yield f"{layer}.0.downsample.0.weight"
            yield from norm(f"{layer}.0.downsample.1")
    for meu in ("meu1", "meu2"):
        yield from (f"{meu}.{conv}.weight" for conv in ("conv1x1_low", "conv1x1_high", "sa_conv", "ca_conv"))
        for side in ("low", "high"):
            yield from norm(f"{meu}.bn_{side}")
    yield from ("project_layer.weight", "project_layer.bias")


def dfanet_names() -> Iterator[str]:
    yield "encoder.conv1.0.weight"
    yield from norm("encoder.conv1.1")
    for branch in ("encoder.branch0", "encoder.branch1", "encoder.branch2"):
        for stage, depth in (("enc2", 3), ("enc3", 6), ("enc4", 3)):
            for block in (f"{branch}.{stage}.build.{i}" for i in range(depth)):
                for conv in ("conv1", "conv2", "conv3"):
                    yield from (f"{block}.{conv}.0.{w}.{k}" for w in ("conv1", "pointwise") for k in ("weight", "bias"))
                    yield from norm(f"{block}.{conv}.1")
                yield f"{block}.projection.weight"
        yield from (f"{branch}.atten.fc.{i}.weight" for i in (0, 2))
    for i in range(6):
        yield f"decoder.conv{i}.0.weight"
        yield from norm(f"decoder.conv{i}.1")
    yield from ("decoder.conv_add1.0.weight", "decoder.conv_add1.0.bias", *norm("decoder.conv_add1.1"))
    yield "decoder.conv_cls.weight"


NAMES = {"fpenet_xiaoyufenfei": tuple(fpenet_names()), "dfanet_huaifeng1993": tuple(dfanet_names())}


def released(point: str) -> dict[str, Tensor]:
    """A state dict with released names: shapes are ours, those of linear layers without the places of a kernel."""
    with torch.device("meta"):
        ours = build(named_points()[point].spec).state_dict()
    found = {name: tuple(ours[str(renamed(name, RELEASES[point]))].shape) for name in NAMES[point]}
    found |= {name: shape[:2] for name, shape in found.items() if ".fc." in name}
    normalised = {name.removesuffix(".running_mean") for name in found if name.endswith(".running_mean")}
    # a linear layer is drawn as the 1x1 that it is
    return {n: drawn(n, s if len(s) != 2 else (*s, 1, 1), normalised).reshape(s) for n, s in found.items()}


def imported(point: str, state: dict[str, Tensor]) -> Imported:
    return import_state(state, named_points()[point].spec, point)


@pytest.mark.parametrize("point", POINTS)
def test_every_tensor_has_one_place(point: str) -> None:
    state = released(point)
    assert len({renamed(name, RELEASES[point]) for name in state}) == len(state)
    found = imported(point, state)
    assert (found.filled, found.unused, found.missing) == (len(state), (), ())


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="lists of released names are not here: set SEGSEARCH_REFERENCE")
@pytest.mark.parametrize("point", POINTS)
def test_names_and_shapes_are_the_released_ones(point: str) -> None:
    assert {name: tuple(tensor.shape) for name, tensor in released(point).items()} == shapes(point, point)


@pytest.mark.parametrize("point", POINTS)
def test_what_does_not_meet_is_told(point: str) -> None:
    state = released(point)
    first, *_ = state
    gone = state.pop(first)
    found = imported(point, state | {"extra.weight": gone, "layer2.0.conv4.weight": gone})
    assert found.unused == ("extra.weight", "layer2.0.conv4.weight")
    assert found.missing == ("encoder.stem.convs.0.conv.weight",)
    assert from_released(state, point)[1] == ()


@pytest.mark.parametrize("case", GOLDEN)
@torch.no_grad()
def test_imported_weights_give_the_public_outputs(case: str) -> None:
    point, size = case.split("|")
    network = imported(point, released(point)).network.eval()
    image = torch.from_numpy(np.random.RandomState(7).uniform(-2, 2, (1, 3, *map(int, size.split("x")))))
    wanted, ours = GOLDEN[case]["out"], network(image)
    assert list(ours.shape) == wanted["shape"]
    error = (ours.flatten()[wanted["idx"]] - torch.tensor(wanted["val"], dtype=torch.float64)).abs().max()
    assert error < 1e-6 * wanted["mean_abs"]
    assert abs(float(ours.abs().mean()) / wanted["mean_abs"] - 1) < 1e-6
    assert abs(float(ours.sum()) - wanted["sum"]) < 1e-6 * wanted["mean_abs"] * ours.numel()
    torch.testing.assert_close(fold(network)(image), ours)


@pytest.mark.parametrize(
    ("point", "parts"), [(POINTS[0], ()), (POINTS[1], ("conv.weight", "norm.weight", "norm.bias"))]
)
def test_which_weights_are_dead(point: str, parts: tuple[str, ...]) -> None:
    """Of DFANet's decoder, one 1x1 and its BatchNorm: 192 x 64 and 2 x 64 numbers."""
    network = build(named_points()[point].spec)
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    dead = {name: p.numel() for name, p in network.named_parameters() if p.grad is None}
    assert set(dead) == {f"neck.high.projections.1.{part}" for part in parts}
    assert sum(dead.values()) == (12_416 if parts else 0)
