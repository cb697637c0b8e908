"""Every block keeps this contract."""

import pytest
import torch

from segsearch.models.blocks import BLOCKS, FPEBlock
from segsearch.spec.parts import StageSpec

RATES = {"basic": (2,), "fpe": (1, 2, 4, 8)}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("in_channels", [16, 32])
@pytest.mark.parametrize("size", [(8, 12), (9, 7), (1, 1)])
def test_shape_and_gradients(name, stride, in_channels, size) -> None:
    stage = StageSpec(block=name, depth=1, width=32, stride=stride, dilations=RATES[name])
    block = BLOCKS[name](in_channels, stage, stride)
    out = block(torch.randn(2, in_channels, *size))
    assert out.shape == (2, 32, *(-(-side // stride) for side in size))
    out.square().sum().backward()
    assert not [n for n, p in block.named_parameters() if p.grad is None]


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize(("in_channels", "stride"), [(8, 1), (16, 1), (8, 2)])
def test_a_block_ends_with_a_relu(name: str, in_channels: int, stride: int) -> None:
    """FPENet's published FLOPs need the last one as well."""
    stage = StageSpec(block=name, depth=1, width=8, stride=stride, dilations=RATES[name])
    out = BLOCKS[name](in_channels, stage, stride)(torch.randn(2, in_channels, 8, 8))
    assert (out >= 0).all() and (out == 0).any()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("cascade", [True, False])
def test_the_cascade_carries_one_branch_into_the_next(cascade: bool, stride: int) -> None:
    stage = StageSpec(block="fpe", depth=1, width=8, stride=stride, dilations=(1, 2), cascade=cascade)
    block = FPEBlock(8, stage, stride).eval()
    inner = block.expand(torch.rand(1, 8, 6, 6)).detach().requires_grad_()
    first, second = inner.chunk(2, dim=1)
    second_out = block._pyramid((first, second))[1]
    (gradient,) = torch.autograd.grad(second_out.sum(), first, allow_unused=True)
    assert (gradient is not None) == cascade


def test_the_released_dilation_widens_the_second_convolution_only() -> None:
    block = BLOCKS["basic"](8, StageSpec(block="basic", depth=1, width=8, stride=1, dilations=(4,)), 1)
    assert block.conv1.conv.dilation == (1, 1)
    assert block.conv2.conv.dilation == (4, 4)
