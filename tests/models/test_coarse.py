import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from segsearch.deployment.folding import fold
from segsearch.models.coarse import CoarseMerge, cheaper_before_resize
from segsearch.models.ops import ConvNorm, Resize

sides = st.integers(1, 9)


@settings(max_examples=40)
@given(
    fine=st.tuples(sides, sides),
    shrink=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    align=st.booleans(),
    seed=st.integers(0, 99),
)
def test_filtering_before_the_resize_gives_what_filtering_after_does(fine, shrink, align, seed) -> None:
    torch.manual_seed(seed)
    channels = {4: 3, 8: 5, 16: 2}
    sizes = {4: fine, 8: tuple(-(-f // s) for f, s in zip(fine, shrink, strict=True)), 16: (1, 2)}
    merge = fold(ConvNorm(10, 6)).double()
    assert isinstance(merge, ConvNorm) and merge.conv.bias is not None
    nn.init.normal_(merge.conv.bias)
    features = {s: torch.randn(2, c, *sizes[s], dtype=torch.float64) for s, c in channels.items()}
    resize = Resize(align)
    expected = merge(torch.cat([resize(features[s], fine) for s in channels], dim=1))
    for coarse in ((8,), (16,), (8, 16)):
        ours = CoarseMerge(merge, sizes, channels, coarse, align).double()
        torch.testing.assert_close(ours(features), expected, rtol=1e-5, atol=1e-5)


def test_levels_as_fine_as_the_finest_are_never_worth_it() -> None:
    sizes, channels = {8: (64, 128), 16: (32, 64), 32: (16, 32), 64: (16, 32)}, dict.fromkeys((8, 16, 32, 64), 128)
    assert cheaper_before_resize(sizes, channels) == (16, 32, 64)
    assert cheaper_before_resize(dict.fromkeys((8, 16), (16, 32)), channels) == ()
    assert cheaper_before_resize({8: (512, 1024), 16: (256, 512)}, {8: 16, 16: 16}) == (), (
        "rows would cost more than they save"
    )
