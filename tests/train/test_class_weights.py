import math

import pytest
import torch

from segsearch.data.dataset import IGNORE
from segsearch.train.class_weights import count_pixels, enet_weights

from .toys import Patches


def test_counts_every_labelled_pixel_once() -> None:
    data = Patches(images=3, size_hw=(12, 16))
    counts = count_pixels(data)
    for index in range(3):
        assert counts[index] == sum(int((label == index).sum()) for _, label in data.pairs)
    assert counts.sum() == sum(int((label != IGNORE).sum()) for _, label in data.pairs)


def test_enet_formula_by_hand() -> None:
    weights = enet_weights(torch.tensor([75, 25, 0]))
    assert weights.tolist() == pytest.approx([1 / math.log(1.77), 1 / math.log(1.27), 1 / math.log(1.02)], rel=1e-6)


def test_nothing_labelled_still_gives_weights() -> None:
    assert torch.isfinite(enet_weights(torch.zeros(3, dtype=torch.int64))).all()
