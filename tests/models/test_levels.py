import pytest
import torch

from segsearch.models.levels import Levels
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec
from segsearch.spec.neck import PyramidSpec
from segsearch.spec.words import Pool


def encoder(*widths: int) -> EncoderSpec:
    """Stem of stride 4, then a stage of each width, every one but the first halving."""
    stem = StemSpec(widths=(widths[0],), strides=(2,), pool="floor")
    stages = (StageSpec(block="basic", depth=1, width=w, stride=2 if i else 1) for i, w in enumerate(widths))
    return EncoderSpec(stem=stem, stages=tuple(stages))


@pytest.mark.parametrize("size", [(8, 12), (7, 5), (1, 1)])
@pytest.mark.parametrize("pool", ["avg", "max"])
def test_an_even_map_stays_even_in_every_pooled_level(pool: Pool, size: tuple[int, int]) -> None:
    """The padding of the border is not part of an average."""
    levels = Levels(PyramidSpec(finest=3, coarsest=6, pool=pool), encoder(2, 3, 5))
    height, width = size
    found = levels({4: torch.zeros(1, 2, 2, 2), 8: torch.zeros(1, 3, 2, 2), 16: torch.full((1, 5, height, width), 3.0)})
    assert list(found) == [8, 16, 32, 64] and levels.channels == {8: 3, 16: 5, 32: 5, 64: 5}
    for stride in (32, 64):
        height, width = -(-height // 2), -(-width // 2)
        torch.testing.assert_close(found[stride], torch.full((1, 5, height, width), 3.0))


def test_averages_and_maxima_differ() -> None:
    image = torch.rand(1, 2, 8, 8)
    pyramids = (PyramidSpec(finest=2, coarsest=3, pool=pool) for pool in ("avg", "max"))
    avg, most = (Levels(pyramid, encoder(2))({4: image})[8] for pyramid in pyramids)
    assert (avg < most).all()
    torch.testing.assert_close(most, torch.nn.functional.max_pool2d(image, 3, 2, 1))
