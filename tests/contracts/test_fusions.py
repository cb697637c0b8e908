"""Every pair fusion, one that will be added tomorrow included, keeps this contract."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from segsearch.models.fusions import FAM, FUSIONS, MEU, GatedMEU, PairFusion, Warp


def made(name: str, deep: int, shallow: int, width: int, *, align_corners: bool = False) -> PairFusion:
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
    fusion = made(name, *widths, align_corners=align)
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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_warp_keeps_its_places_in_half_precision(dtype: torch.dtype) -> None:
    """In half precision the places of a wide map's pixels would coincide."""
    deep, still = torch.rand(1, 4, 6, 300), torch.zeros(1, 2, 12, 600)
    exact = Warp()(deep, still)
    with torch.autocast("cpu", dtype=dtype):
        mixed = Warp()(deep, still.to(dtype))
    assert mixed.dtype == deep.dtype
    torch.testing.assert_close(mixed, exact)
    half = Warp()(deep.to(dtype), still.to(dtype))
    assert half.dtype == dtype
    torch.testing.assert_close(half.float(), exact, atol=8e-3, rtol=0)


def test_fam_starts_from_both_maps() -> None:
    fam = FAM(8, 8, 8, True)
    deep, shallow = torch.randn(1, 8, 4, 4), torch.randn(1, 8, 8, 8)
    assert not torch.allclose(fam(deep, shallow), fam(deep, torch.zeros_like(shallow)) + shallow)


def test_meu_weighs_the_shallow_map_by_what_and_the_deep_map_by_where() -> None:
    """FPENet, section 3.2: channel attention of the deep map on the shallow one, spatial attention the other way round."""
    meu = MEU(3, 5, 4, True)
    deep, shallow = torch.randn(2, 3, 4, 5), torch.randn(2, 5, 8, 9)
    up = nn.functional.interpolate(deep, size=(8, 9), mode="bilinear", align_corners=True)
    high, low = meu.embed_deep(up), meu.embed_shallow(shallow)
    what = meu.channel(high.mean(dim=(2, 3), keepdim=True))
    where = meu.spatial(low.mean(dim=1, keepdim=True))
    assert what.shape == (2, 4, 1, 1) and where.shape == (2, 1, 8, 9)
    torch.testing.assert_close(meu(deep, shallow), low * what + high * where)


def test_a_gated_meu_pools_before_it_resizes_and_its_channels_never_shut() -> None:
    meu = GatedMEU(3, 5, 4, True).eval()
    deep, shallow = torch.randn(2, 3, 4, 5), torch.randn(2, 5, 8, 9)
    high, low = meu.embed_deep(deep), meu.embed_shallow(shallow)
    assert (high < 0).any() and (low < 0).any(), "no ReLU behind the 1x1"
    what = torch.sigmoid(torch.relu(meu.channel[0](high.mean(dim=(2, 3), keepdim=True))))
    where = torch.sigmoid(meu.spatial[0](low.mean(dim=1, keepdim=True)))
    assert (what >= 0.5).all()
    up = nn.functional.interpolate(high, size=(8, 9), mode="bilinear", align_corners=True)
    torch.testing.assert_close(meu(deep, shallow), low * what + up * where)
    meu.channel = meu.spatial = None
    torch.testing.assert_close(meu(deep, shallow), low + up)
    assert not [n for n, _ in GatedMEU(3, 5, 4, True, "none").named_parameters() if "embed" not in n]


def test_meus_attentions_start_open() -> None:
    """Behind a ReLU, one that starts shut for a whole batch never learns."""
    for seed in range(20):
        torch.manual_seed(seed)
        meu = MEU(8, 8, 8, False)
        high, low = torch.rand(1, 8, 1, 1), torch.rand(1, 1, 6, 6)
        assert (meu.channel(high) > 0).float().mean() > 0.7 and (meu.spatial(low) > 0).all()
