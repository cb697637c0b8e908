"""Two public re-implementations: every tensor has its place, and the outputs are those of their code."""

import pytest
import torch
from torch import Tensor

from segsearch.deployment.deploy import fold
from segsearch.importer import Imported, import_state
from segsearch.models.network import build
from segsearch.models.released import RELEASES, from_released
from segsearch.models.renaming import renamed
from segsearch.space.points import named_points
from tests.golden import OUTPUTS, assert_given, drawn, image, shapes

POINTS = ("fpenet_xiaoyufenfei", "dfanet_huaifeng1993")
CASES = [f"{point}|{size}" for point in POINTS for size in ("64x128", "104x136")]


def imported(point: str, state: dict[str, Tensor]) -> Imported:
    return import_state(state, named_points()[point].spec, point)


@pytest.mark.parametrize("point", POINTS)
def test_every_tensor_has_one_place(point: str) -> None:
    state = drawn(shapes(point))
    assert len({renamed(name, RELEASES[point]) for name in state}) == len(state)
    found = imported(point, state)
    assert (found.filled, found.unused, found.missing) == (len(state), (), ())


@pytest.mark.parametrize("point", POINTS)
def test_what_does_not_meet_is_told(point: str) -> None:
    state = drawn(shapes(point))
    first, *_ = state
    gone = state.pop(first)
    found = imported(point, state | {"extra.weight": gone, "layer2.0.conv4.weight": gone})
    assert found.unused == ("extra.weight", "layer2.0.conv4.weight")
    assert found.missing == ("encoder.stem.convs.0.conv.weight",)
    assert from_released(state, point)[1] == ()


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_imported_weights_give_the_public_outputs(case: str) -> None:
    point, size = case.split("|")
    network = imported(point, drawn(shapes(point))).network.eval()
    given = image(1, *map(int, size.split("x")))
    ours = network(given)
    assert_given(ours, OUTPUTS[case]["out"], "out")
    torch.testing.assert_close(fold(network)(given), ours)


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
