from typing import Literal

import pytest
import torch

from segsearch.models.encoder import Stage, Stem
from segsearch.spec.encoder import StageSpec, StemSpec


@pytest.mark.parametrize("stride", [1, 2])
def test_a_long_skip_joins_the_first_and_the_last_map_of_the_stages_own_resolution(stride: int) -> None:
    """FPENet, section 3.1: a stage that keeps its size joins its input, one that strides its first block's output."""
    spec = StageSpec(block="fpe", depth=3, width=8, stride=stride, dilations=(1, 2), long_skip="concat")
    stage = Stage(spec, 8).eval()
    image = torch.rand(1, 8, 6, 10)
    first = image if stride == 1 else stage.blocks[0](image)
    last = image
    for block in stage.blocks:
        last = block(last)
    torch.testing.assert_close(stage(image), torch.cat((first, last), dim=1))


@pytest.mark.parametrize(("pool", "pixels"), [("floor", 3), ("ceil", 4)])
def test_the_stems_pool_rounds_as_named(pool: Literal["floor", "ceil"], pixels: int) -> None:
    features = Stem(StemSpec(widths=(8, 12), strides=(2, 1), pool=pool))(torch.rand(1, 3, 12, 12))
    assert {s: tuple(f.shape[1:]) for s, f in features.items()} == {2: (12, 6, 6), 4: (12, pixels, pixels)}
