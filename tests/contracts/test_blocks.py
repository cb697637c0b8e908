"""Every block keeps this contract."""

from typing import Any

import pytest
import torch

from segsearch.models.blocks.fpe import FPEBlock
from segsearch.models.blocks.table import BLOCKS
from segsearch.spec.encoder import BlockName, StageSpec
from segsearch.spec.rules import READERS

RATES: dict[str, tuple[int, ...]] = {"fpe": (1, 2, 4, 8), "fpe_projected": (1, 2, 4, 8)}
VARIANTS: dict[str, dict[str, Any]] = {
    "kernel": {"kernel": 5},
    "expansion": {"expansion": 3},
    "inner": {"inner": 20},
    "squeeze": {"squeeze": "inner"},
    "squeeze_out": {"squeeze": "out"},
    "activation": {"activation": "hswish"},
    "silu": {"activation": "silu"},
    "relu6": {"activation": "relu6"},
    "padding": {"padding": "same"},
}


def read_by(name: BlockName, variant: str) -> bool:
    field = next(iter(VARIANTS[variant]))
    return field not in READERS or name in READERS[field]


@pytest.mark.parametrize(("name", "variant"), [(n, v) for n in BLOCKS for v in VARIANTS if read_by(n, v)])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_field_that_a_block_reads_changes_it(name: BlockName, variant: str, stride: int) -> None:
    plain = StageSpec(block=name, depth=1, width=16, stride=stride, dilations=RATES.get(name, (2,)))
    changed = plain.model_copy(update=VARIANTS[variant])
    blocks = [BLOCKS[name](16, stage, stride) for stage in (plain, changed)]
    assert repr(blocks[0]) != repr(blocks[1])
    x = torch.randn(2, 16, 9, 7)
    given = x.clone()
    out = blocks[1](x)
    assert out.shape == blocks[0](x).shape
    assert torch.equal(x, given), "others read the input too: nothing may write into it"
    out.square().sum().backward()
    assert not [n for n, p in blocks[1].named_parameters() if p.grad is None]


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("in_channels", [16, 32])
@pytest.mark.parametrize("size", [(8, 12), (9, 7), (1, 1)])
def test_shape_and_gradients(name: BlockName, stride: int, in_channels: int, size: tuple[int, int]) -> None:
    stage = StageSpec(block=name, depth=1, width=32, stride=stride, dilations=RATES.get(name, (2,)))
    block = BLOCKS[name](in_channels, stage, stride)
    out = block(torch.randn(2, in_channels, *size))
    assert out.shape == (2, 32, *(-(-side // stride) for side in size))
    out.square().sum().backward()
    assert not [n for n, p in block.named_parameters() if p.grad is None]


@pytest.mark.parametrize("name", ["basic", "bottleneck", "fpe"])
@pytest.mark.parametrize(("in_channels", "stride"), [(8, 1), (16, 1), (8, 2)])
def test_a_block_ends_with_a_relu(name: BlockName, in_channels: int, stride: int) -> None:
    """FPENet's published FLOPs need the last one as well."""
    stage = StageSpec(block=name, depth=1, width=8, stride=stride, dilations=RATES.get(name, (1,)))
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


def test_a_bottleneck_strides_and_dilates_in_its_middle() -> None:
    block = BLOCKS["bottleneck"](64, StageSpec(block="bottleneck", depth=1, width=64, stride=2, dilations=(2,)), 2)
    assert [c.conv.stride for c in (block.conv1, block.conv2, block.conv3)] == [(1, 1), (2, 2), (1, 1)]
    assert [c.conv.dilation for c in (block.conv1, block.conv2, block.conv3)] == [(1, 1), (2, 2), (1, 1)]
    assert block.conv2.conv.out_channels == 16


def test_a_separable_block_strides_first_and_norms_twice() -> None:
    block = BLOCKS["separable"](8, StageSpec(block="separable", depth=1, width=48, stride=2), 2)
    assert [c.depthwise.conv.stride for c in block.convs] == [(2, 2), (1, 1), (1, 1)]
    assert [c.pointwise.conv.out_channels for c in block.convs] == [12, 12, 48]
    assert sum(p.numel() for p in block.parameters()) == 1_792
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in block.modules()) == 7


def test_squeeze_excite_follows_the_blocks_input() -> None:
    stage = StageSpec(block="mbconv", depth=1, width=24, stride=2, expansion=6, squeeze="inner", activation="silu")
    block = BLOCKS["mbconv"](16, stage, 2)
    assert block.squeeze_inner.reduce.weight.shape == (4, 96, 1, 1)
    assert block.squeeze_inner.reduce.bias is not None
    assert isinstance(block.squeeze_inner.gate, torch.nn.Sigmoid)


@pytest.mark.parametrize(
    ("name", "in_channels", "stride", "shortcut"),
    [
        ("mbconv", 16, 1, "Identity"),
        ("mbconv", 8, 1, "NoneType"),
        ("mbconv", 16, 2, "NoneType"),
        ("fused", 16, 1, "Identity"),
        ("fused", 8, 1, "NoneType"),
        ("mobile", 16, 1, "Identity"),
        ("mobile", 8, 1, "ConvNorm"),
        ("mobile", 16, 2, "NoneType"),
        ("separable", 16, 1, "Identity"),
        ("separable", 16, 2, "ConvNorm"),
        ("separable_biased", 16, 1, "Conv2d"),
        ("fpe", 16, 2, "NoneType"),
        ("fpe_projected", 16, 2, "ConvNorm"),
        ("fpe_projected", 8, 1, "ConvNorm"),
    ],
)
def test_residual_rules(name: BlockName, in_channels: int, stride: int, shortcut: str) -> None:
    block = BLOCKS[name](in_channels, StageSpec(block=name, depth=1, width=16, stride=stride), stride)
    assert type(block.shortcut).__name__ == shortcut


@pytest.mark.parametrize(("name", "convolutions"), [("mbconv", 2), ("fused", 1), ("mobile", 3)])
def test_who_expands_where_nothing_widens(name: BlockName, convolutions: int) -> None:
    block = BLOCKS[name](16, StageSpec(block=name, depth=1, width=16, stride=2), 2)
    assert sum(isinstance(m, torch.nn.Conv2d) for m in block.modules()) == convolutions


def test_a_shuffle_interleaves_its_halves() -> None:
    block = BLOCKS["shuffle"](8, StageSpec(block="shuffle", depth=1, width=8, stride=1), 1).eval()
    x = torch.randn(1, 8, 5, 6)
    out = block(x)
    assert torch.equal(out[:, ::2], x[:, :4])
    torch.testing.assert_close(out[:, 1::2], block.right(x[:, 4:]))
