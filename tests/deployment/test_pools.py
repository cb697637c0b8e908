import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from segsearch.deployment.deployable import watch
from segsearch.deployment.pools import MatrixPool, fix_pools

sides = st.integers(1, 40)
bins = st.integers(1, 8)


@given(size=st.tuples(sides, sides), wanted=st.tuples(bins, bins))
@settings(max_examples=60)
def test_matrices_pool_as_adaptive_pooling_does(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    features = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = nn.functional.adaptive_avg_pool2d(features, wanted)
    assert torch.allclose(MatrixPool(size, wanted).double()(features), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("output_size", "kind"),
    [
        (1, nn.AdaptiveAvgPool2d),
        ((1, 1), nn.AdaptiveAvgPool2d),
        ((2, 3), nn.AvgPool2d),
        ((4, None), nn.AvgPool2d),
        ((None, 5), MatrixPool),
        (3, MatrixPool),
        (16, MatrixPool),
    ],
)
def test_fixed_pool_equals_the_adaptive_one(output_size: object, kind: type[nn.Module]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(output_size))  # type: ignore[arg-type]
    image = torch.randn(1, 3, 8, 12)
    expected = network(image)
    fix_pools(network, watch(network, image))
    assert type(network[1]) is kind
    assert torch.allclose(network(image), expected, atol=1e-6)


class Twice(nn.Module):
    """One pool at two sizes, and one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.idle = nn.AdaptiveAvgPool2d(2), nn.AdaptiveAvgPool2d(3)

    def forward(self, image: Tensor) -> Tensor:
        return self.pool(image) + self.pool(image[:, :, 3:])


def test_pools_without_one_size_stay_adaptive_and_keep_no_hooks() -> None:
    network = Twice()
    fix_pools(network, watch(network, torch.randn(1, 3, 9, 9)))
    assert isinstance(network.pool, nn.AdaptiveAvgPool2d) and isinstance(network.idle, nn.AdaptiveAvgPool2d)
    assert not network.pool._forward_pre_hooks


def test_a_pool_with_two_names_is_replaced_at_both() -> None:
    pool = nn.AdaptiveAvgPool2d(3)
    network = nn.ModuleDict({"a": nn.Sequential(pool), "b": nn.Sequential(pool)})
    network.forward = lambda image: network["a"](image) + network["b"](image)
    fix_pools(network, watch(network, torch.randn(1, 3, 7, 7)))
    assert not [m for m in network.modules() if isinstance(m, nn.AdaptiveAvgPool2d)]
