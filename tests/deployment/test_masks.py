"""The last resize and the argmax as one are what the two are one after the other."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from segsearch.deployment.masks import CellMask, PlainMask, RowMask, mask_of

Size = tuple[int, int]
SIZES = [
    *(((4, 6), (4 * n, 6 * n)) for n in (1, 2, 3, 4, 7, 8, 16)),
    ((4, 6), (8, 24)),
    ((1, 1), (8, 8)),
    ((1, 5), (4, 40)),
    ((5, 7), (33, 51)),
    ((23, 30), (180, 240)),
    ((3, 3), (17, 4)),
    ((12, 16), (7, 5)),
    ((9, 3), (9, 12)),
]


def in_two(logits: torch.Tensor, size_hw: Size, align: bool) -> torch.Tensor:
    return F.interpolate(logits, size=size_hw, mode="bilinear", align_corners=align)


@pytest.mark.parametrize(("sizes", "align"), list(product(SIZES, [False, True])), ids=str)
def test_every_ratio(sizes: tuple[Size, Size], align: bool) -> None:
    """Another class is taken only where two are equal up to rounding."""
    coarse, size_hw = sizes
    logits = torch.randn(2, 5, *coarse, generator=torch.Generator().manual_seed(0))
    mask = mask_of(coarse, size_hw, align)(logits)
    assert mask.shape == (2, *size_hw) and mask.dtype == torch.uint8
    large = in_two(logits, size_hw, align)
    lost = large.amax(1) - large.gather(1, mask.long()[:, None])[:, 0]
    assert float(lost.max()) < 1e-5


@pytest.mark.parametrize(
    ("coarse", "size_hw", "align", "kind"),
    [
        ((4, 6), (4, 6), False, PlainMask),
        ((4, 6), (32, 48), False, CellMask),
        ((4, 6), (32, 48), True, RowMask),
        ((4, 6), (33, 48), False, RowMask),
        ((4, 6), (2, 3), False, RowMask),
    ],
)
def test_the_form_that_fits(coarse: Size, size_hw: Size, align: bool, kind: type[nn.Module]) -> None:
    assert type(mask_of(coarse, size_hw, align)) is kind
