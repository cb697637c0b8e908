"""Every pair fusion, one that will be added tomorrow included, keeps this contract."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from segsearch.models.fusions import FAM, FUSIONS, PairFusion, Warp


def made(name: str, deep: int, shallow: int, width: int, align_corners: bool = False) -> PairFusion:
    if not FUSIONS[name].projects:
        deep = shallow = width
    return FUSIONS[name](deep, shallow, width, align_corners)


@pytest.mark.parametrize("name", FUSIONS)
@settings(max_examples=15)
@given(
    widths=st.tuples(*[st.sampled_from([8, 16, 24])] * 3),
    small=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    odd=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    align=st.booleans(),
)
def test_gives_the_shallow_size_and_the_width(name, widths, small, odd, align) -> None:
    fusion = made(name, *widths, align)
    size = [max(1, 2 * s - o) for s, o in zip(small, odd, strict=True)]
    deep, shallow = (widths[2], widths[2]) if not fusion.projects else widths[:2]
    out = fusion(torch.randn(2, deep, *small), torch.randn(2, shallow, *size))
    assert out.shape == (2, widths[2], *size)
    assert out.isfinite().all()


@pytest.mark.parametrize("name", FUSIONS)
def test_every_weight_and_the_deep_map_get_a_gradient(name) -> None:
    fusion = made(name, 8, 8, 8)
    deep = torch.rand(1, 8, 4, 5, requires_grad=True)
    fusion(deep, torch.rand(1, 8, 8, 9)).square().sum().backward()
    assert deep.grad is not None and deep.grad.abs().sum() > 0
    assert not [n for n, p in fusion.named_parameters() if p.grad is None]


@pytest.mark.parametrize("name", FUSIONS)
def test_images_of_a_batch_do_not_mix(name) -> None:
    fusion = made(name, 8, 8, 8).eval()
    deep, shallow = torch.randn(2, 8, 4, 5), torch.randn(2, 8, 8, 9)
    alone = fusion(deep[:1], shallow[:1])
    torch.testing.assert_close(fusion(deep, shallow)[:1], alone)


@pytest.mark.parametrize("name", FUSIONS)
def test_declares_whether_it_projects(name) -> None:
    assert isinstance(FUSIONS[name].projects, bool)
    if not FUSIONS[name].projects:
        with pytest.raises(AssertionError, match="the neck projects"):
            FUSIONS[name](8, 8, 16, False)


def test_a_warp_without_flow_is_a_resize() -> None:
    deep = torch.randn(1, 3, 4, 5)
    still = Warp()(deep, torch.zeros(1, 2, 8, 10))
    torch.testing.assert_close(
        still, nn.functional.interpolate(deep, size=(8, 10), mode="bilinear", align_corners=True)
    )


def test_a_warp_moves_along_x_by_half_the_flow() -> None:
    """Flow (2W / (W - 1), 0) reads one fine pixel to the right: the grid's norm makes a unit of flow half a pixel."""
    image = torch.arange(8.0).expand(1, 1, 6, 8)
    flow = torch.zeros(1, 2, 6, 8)
    flow[:, 0] = 2 * 8 / (8 - 1)
    moved = Warp()(image, flow)
    torch.testing.assert_close(moved[..., :-1], image[..., 1:])


def test_fam_starts_from_both_maps() -> None:
    fam = FAM(8, 8, 8, True)
    deep, shallow = torch.randn(1, 8, 4, 4), torch.randn(1, 8, 8, 8)
    assert not torch.allclose(fam(deep, shallow), fam(deep, torch.zeros_like(shallow)) + shallow)
