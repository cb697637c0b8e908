import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segsearch.data.dataset import IGNORE
from segsearch.errors import InputError
from segsearch.training.losses import (
    CLASS_WEIGHTS,
    LOSSES,
    count_pixels,
    cross_entropy,
    enet_weights,
    median_weights,
    ohem,
    supervised_loss,
)
from segsearch.training.recipe import LossName, Recipe

from .toys import Patches

RECIPE = Recipe(iterations=1)


def _each_by_hand(logits: torch.Tensor, label: torch.Tensor) -> list[tuple[float, int]]:
    """-log softmax of the true class, and that class, of every labelled pixel."""
    pixels = []
    for b, y, x in torch.cartesian_prod(*(torch.arange(n) for n in label.shape)).tolist():
        if (true := int(label[b, y, x])) != IGNORE:
            scores = logits[b, :, y, x].tolist()
            pixels.append((math.log(sum(math.exp(s) for s in scores)) - scores[true], true))
    return pixels


def _mean_by_hand(pixels: list[tuple[float, int]], weights: list[float]) -> float:
    divisor = sum(weights[true] for _, true in pixels)
    return sum(weights[true] * loss for loss, true in pixels) / divisor if divisor else 0.0


def _drawn(seed: int, void: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 4, 3, 2, generator=generator)
    label = torch.randint(0, 4, (2, 3, 2), generator=generator)
    label[torch.rand(2, 3, 2, generator=generator) < void] = IGNORE
    return logits, label


WEIGHTS = [1.0, 3.0, 0.5, 10.0]


@given(seed=st.integers(0, 10**6), weighted=st.booleans(), void=st.floats(0, 1))
def test_cross_entropy_equals_the_formula(seed: int, weighted: bool, void: float) -> None:
    logits, label = _drawn(seed, void)
    expected = _mean_by_hand(_each_by_hand(logits, label), WEIGHTS if weighted else [1.0] * 4)
    weights = torch.tensor(WEIGHTS) if weighted else None
    assert cross_entropy(logits, label, RECIPE, weights).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@given(
    seed=st.integers(0, 10**6),
    weighted=st.booleans(),
    void=st.floats(0, 1),
    threshold=st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0]),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_ohem_equals_its_rule(seed: int, weighted: bool, void: float, threshold: float, share: float) -> None:
    logits, label = _drawn(seed, void)
    pixels = sorted(_each_by_hand(logits, label), reverse=True)
    least = math.ceil(share * len(pixels))
    hard = [pixel for k, pixel in enumerate(pixels) if k < least or math.exp(-pixel[0]) <= threshold]
    expected = _mean_by_hand(hard, WEIGHTS if weighted else [1.0] * 4)
    recipe = Recipe(iterations=1, loss="ohem", ohem_threshold=threshold, ohem_share=share)
    loss = ohem(logits, label, recipe, torch.tensor(WEIGHTS) if weighted else None)
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_ohem_learns_from_hard_pixels_alone() -> None:
    logits = torch.tensor([[[[4.0, 0.0, -4.0, 9.0]], [[0.0, 0.0, 0.0, 0.0]]]], requires_grad=True)
    label = torch.tensor([[[0, 0, 0, IGNORE]]])
    recipe = Recipe(iterations=1, loss="ohem", ohem_threshold=0.6, ohem_share=0.0)
    loss = supervised_loss((logits,), label, recipe)
    loss.backward()
    assert loss.item() == pytest.approx((math.log(2) + math.log(1 + math.exp(4))) / 2)
    assert logits.grad is not None and (logits.grad[0, 0, 0] != 0).tolist() == [False, True, True, False]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", [None, torch.ones(3)])
def test_nothing_labelled_is_zero_with_zero_gradients(name: str, weights: torch.Tensor | None) -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = LOSSES[name](logits, torch.full((2, 4, 4), IGNORE), RECIPE, weights)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None and not logits.grad.any()


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_do_not_matter_and_numbers_that_are_none_show(name: str) -> None:
    logits, label = torch.randn(1, 3, 4, 4), torch.randint(0, 3, (1, 4, 4))
    label[0, 0] = IGNORE
    other = logits.clone()
    other[:, :, 0] = torch.randn(3, 4) * 50
    assert torch.equal(LOSSES[name](logits, label, RECIPE, None), LOSSES[name](other, label, RECIPE, None))
    assert not math.isfinite(LOSSES[name](logits * float("nan"), label, RECIPE, None).item())


def test_small_logits_are_resized_to_the_label() -> None:
    logits, label = torch.randn(1, 3, 2, 4), torch.randint(0, 3, (1, 8, 16))
    large = torch.nn.functional.interpolate(logits, size=(8, 16), mode="bilinear", align_corners=False)
    assert torch.equal(supervised_loss((logits,), label, RECIPE), cross_entropy(large, label, RECIPE))


def test_low_precision_logits_are_summed_in_float32() -> None:
    logits = torch.full((1, 2, 64, 64), 300.0, dtype=torch.float16)
    logits[:, 1] = -300.0
    loss = supervised_loss((logits,), torch.ones(1, 64, 64, dtype=torch.int64), RECIPE)
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(600.0)


def test_auxiliary_losses_add_their_share() -> None:
    label = torch.randint(0, 3, (2, 8, 8))
    outputs = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 4, 4), torch.randn(2, 3, 2, 2)
    main, small, smaller = (supervised_loss((logits,), label, RECIPE) for logits in outputs)
    for weight, expected in ((0.4, main + 0.4 * (small + smaller)), ((1.0, 0.25), main + small + 0.25 * smaller)):
        recipe = Recipe.parse({"iterations": 1, "auxiliary": "neck", "auxiliary_weight": weight}, "recipe")
        assert torch.allclose(supervised_loss(outputs, label, recipe), expected)
    with pytest.raises(InputError, match=r"auxiliary_weight: lists 2 for auxiliary heads, of which the network has 1"):
        supervised_loss(outputs[:2], label, recipe)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (None, ("ohem", "ohem")),
        ("cross_entropy", ("cross_entropy", "cross_entropy")),
        (["ohem", "cross_entropy"], ("ohem", "cross_entropy")),
    ],
)
def test_each_auxiliary_head_may_have_a_loss_of_its_own(asked: object, names: tuple[LossName, ...]) -> None:
    label, outputs = torch.randint(0, 3, (2, 8, 8)), tuple(torch.randn(3, 2, 3, 8, 8))
    fields = {"iterations": 1, "loss": "ohem", "ohem_threshold": 0, "auxiliary": "neck", "auxiliary_weight": 0.5}
    recipe = Recipe.parse(fields | {"auxiliary_loss": asked}, "recipe")
    auxiliary = [LOSSES[name](logits, label, recipe, None) for name, logits in zip(names, outputs[1:], strict=True)]
    assert torch.allclose(supervised_loss(outputs, label, recipe), ohem(outputs[0], label, recipe) + sum(auxiliary) / 2)
    if isinstance(asked, list):
        with pytest.raises(
            InputError, match=r"recipe.auxiliary_loss: lists 2 for auxiliary heads, of which the network has 1"
        ):
            supervised_loss(outputs[:2], label, recipe)


def test_counts_every_labelled_pixel_once() -> None:
    data = Patches(images=3, size_hw=(12, 16))
    counts = count_pixels(data)
    expected = [[int((label == index).sum()) for index in range(3)] for _, label in data.pairs]
    assert counts.tolist() == expected


def test_enet_formula_by_hand() -> None:
    weights = enet_weights(torch.tensor([[70, 20, 0], [5, 5, 0]]))
    assert weights.tolist() == pytest.approx([1 / math.log(1.77), 1 / math.log(1.27), 1 / math.log(1.02)], rel=1e-6)


def test_median_frequency_by_hand() -> None:
    """Shares of the images that show them: 60 of 100, 40 of 100, 50 of 50; the absent class weighs 1."""
    weights = median_weights(torch.tensor([[30, 20, 0, 0], [30, 20, 0, 0], [0, 0, 50, 0]]))
    assert weights.tolist() == pytest.approx([0.6 / 0.6, 0.6 / 0.4, 0.6 / 1.0, 1.0])


@pytest.mark.parametrize("weigh", CLASS_WEIGHTS.values())
def test_nothing_labelled_still_gives_weights(weigh) -> None:
    assert torch.isfinite(weigh(torch.zeros(2, 3, dtype=torch.int64))).all()
