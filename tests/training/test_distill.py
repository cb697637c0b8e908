"""A network that learns from a teacher: the loss by its formula, the teacher untouched, and resumed bit by bit."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from segsearch.errors import InputError
from segsearch.training.distill import Teacher, distillation
from segsearch.training.loop import train
from segsearch.training.recipe import Recipe

from .toys import Patches, TinyNet, same_weights, tiny

DATA = Patches()
RECIPE = Recipe(iterations=8, batch_size=2, teacher="./it", distill_weight=5.0, temperature=2.0, ema=0.9)
TEACHER = Teacher(sha256="abc", build=partial(tiny, 3, width=6))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_it_is_the_mean_divergence_of_softened_probabilities(temperature: float) -> None:
    logits, taught = torch.randn(2, 3, 2, 2), torch.randn(2, 3, 2, 2)
    expected = 0.0
    for b, y, x in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(2)).tolist():
        q, p = ([math.exp(float(v) / temperature) for v in each[b, :, y, x]] for each in (logits, taught))
        pairs = zip(p, q, strict=True)
        expected += sum(i / sum(p) * math.log((i / sum(p)) / (j / sum(q))) for i, j in pairs) * temperature**2 / 8
    assert distillation(logits, taught, temperature).item() == pytest.approx(expected, rel=1e-4)
    assert distillation(taught, taught, temperature).item() == pytest.approx(0, abs=1e-6)


def test_smaller_logits_are_brought_to_the_teachers_and_low_precision_is_summed_in_float32() -> None:
    logits, taught = torch.randn(1, 3, 4, 4), torch.randn(1, 3, 8, 8)
    large = torch.nn.functional.interpolate(logits, size=(8, 8), mode="bilinear", align_corners=False)
    assert torch.equal(distillation(logits, taught, 1.0), distillation(large, taught, 1.0))
    assert distillation(logits.half(), taught.half(), 1.0).dtype == torch.float32


def taught(seed: int = 0, teacher: Teacher = TEACHER, **more: Any) -> TinyNet:
    network = tiny(seed)
    train(network, RECIPE, DATA, seed=5, teacher=teacher, **more)
    return network


def test_a_teacher_is_left_as_it_was_and_pulls() -> None:
    network, alone = tiny(3, width=6), tiny()
    learnt, (image, _) = taught(teacher=Teacher(sha256="abc", build=lambda: network)), DATA[0]
    assert same_weights(network, tiny(3, width=6)) and not network.training, "nor its BatchNorm"
    assert not any(parameter.requires_grad for parameter in network.parameters())
    train(alone, RECIPE.model_copy(update={"teacher": None}), DATA, seed=5)
    seen = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 128 - 1
    with torch.no_grad():
        near, far = (distillation(one.eval()(seen), network(seen), 1.0) for one in (learnt, alone))
    assert near < far


def test_it_goes_on_bit_by_bit_and_with_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    taught(checkpoint=path, stop_at=3)
    other = Teacher(sha256="def", build=TEACHER.build)
    with pytest.raises(InputError, match=r"belongs to a training with teacher 'abc', not 'def'"):
        train(tiny(), RECIPE, DATA, seed=5, teacher=other, checkpoint=path)
    assert same_weights(taught(seed=1, checkpoint=path), taught())


class _Still(TinyNet):
    """No dropout, and nothing that depends on the other images of a batch."""

    def train(self, mode: bool = True) -> "_Still":
        return super().train(False)


def test_parts_of_a_batch_are_taught_one_after_another() -> None:
    losses = list[float]()
    for parts in (1, 2):
        torch.manual_seed(0)
        fields = {"batch_size": 4, "accumulate": parts, "iterations": 2}
        losses += train(_Still(), RECIPE.model_copy(update=fields), DATA, seed=5, teacher=TEACHER).losses
    assert losses[:2] == pytest.approx(losses[2:], rel=0.01), "parts differ in how many pixels are labelled"
