import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segsearch.data.dataset import IGNORE
from segsearch.train.losses import count_pixels, enet_weights, pixel_loss, supervised_loss

from .toys import Patches


def _by_hand(logits: torch.Tensor, label: torch.Tensor, weights: list[float]) -> float:
    """Weighted mean of -log softmax, pixel by pixel."""
    total = divisor = 0.0
    for b, y, x in torch.cartesian_prod(*(torch.arange(n) for n in label.shape)).tolist():
        if (true := int(label[b, y, x])) != IGNORE:
            scores = logits[b, :, y, x].tolist()
            total += weights[true] * (math.log(sum(math.exp(s) for s in scores)) - scores[true])
            divisor += weights[true]
    return total / divisor if divisor else 0.0


@given(seed=st.integers(0, 10**6), weighted=st.booleans(), void=st.floats(0, 1))
def test_equals_the_formula(seed: int, weighted: bool, void: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 4, 3, 2, generator=generator)
    label = torch.randint(0, 4, (2, 3, 2), generator=generator)
    label[torch.rand(2, 3, 2, generator=generator) < void] = IGNORE
    weights = torch.tensor([1.0, 3.0, 0.5, 10.0]) if weighted else None
    expected = _by_hand(logits, label, weights.tolist() if weighted else [1.0] * 4)
    assert pixel_loss(logits, label, weights).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("weights", [None, torch.ones(3)])
def test_nothing_labelled_is_zero_with_zero_gradients(weights: torch.Tensor | None) -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = pixel_loss(logits, torch.full((2, 4, 4), IGNORE), weights)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None and not logits.grad.any()


def test_ignored_pixels_do_not_matter() -> None:
    logits, label = torch.randn(1, 3, 4, 4), torch.randint(0, 3, (1, 4, 4))
    label[0, 0] = IGNORE
    other = logits.clone()
    other[:, :, 0] = torch.randn(3, 4) * 50
    assert torch.equal(pixel_loss(logits, label), pixel_loss(other, label))


def test_small_logits_are_resized_to_the_label() -> None:
    logits, label = torch.randn(1, 3, 2, 4), torch.randint(0, 3, (1, 8, 16))
    large = torch.nn.functional.interpolate(logits, size=(8, 16), mode="bilinear", align_corners=False)
    assert torch.equal(pixel_loss(logits, label), pixel_loss(large, label))


def test_low_precision_logits_are_summed_in_float32() -> None:
    logits = torch.full((1, 2, 64, 64), 300.0, dtype=torch.float16)
    logits[:, 1] = -300.0
    loss = pixel_loss(logits, torch.ones(1, 64, 64, dtype=torch.int64))
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(600.0)


def test_auxiliary_losses_add_their_share() -> None:
    label = torch.randint(0, 3, (2, 8, 8))
    main, small, smaller = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 4, 4), torch.randn(2, 3, 2, 2)
    expected = pixel_loss(main, label) + 0.4 * (pixel_loss(small, label) + pixel_loss(smaller, label))
    assert torch.allclose(supervised_loss((main, small, smaller), label, auxiliary_weight=0.4), expected)
    assert torch.equal(supervised_loss((main,), label, auxiliary_weight=0.4), pixel_loss(main, label))


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
