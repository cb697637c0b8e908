import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.training.recipe import Recipe
from segsearch.training.schedules import SCHEDULES, rate_at


def _rates(steps: int, images: int = 8, **choices: object) -> list[float]:
    recipe = Recipe.parse({"iterations": steps, "learning_rate": 1.0, "batch_size": 4, **choices}, "recipe")
    return [rate_at(step, steps, images, recipe) for step in range(steps)]


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, [1.0, 0.75**0.9, 0.5**0.9, 0.25**0.9]),
        ({"power": 2.0}, [1.0, 0.5625, 0.25, 0.0625]),
        ({"power": 0.0}, [1.0, 1.0, 1.0, 1.0]),
        ({"schedule": "cosine"}, [1.0, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125)]),
        ({"schedule": "constant"}, [1.0, 1.0, 1.0, 1.0]),
        ({"schedule_by": "epoch"}, [1.0, 1.0, 0.5**0.9, 0.5**0.9]),
        ({"schedule_by": "epoch", "schedule": "cosine"}, [1.0, 1.0, 0.5, 0.5]),
        ({"schedule": "constant", "warmup": 3}, [0.25, 0.5, 0.75, 1.0]),
        ({"warmup": 1}, [0.5, 0.75**0.9, 0.5**0.9, 0.25**0.9]),
        ({"learning_rate": 0.01, "power": 1.0}, [0.01, 0.0075, 0.005, 0.0025]),
    ],
)
def test_rates_by_hand(choices: dict[str, Any], expected: list[float]) -> None:
    assert _rates(4, **choices) == pytest.approx(expected)


def test_fpenets_rate_is_that_of_its_epochs_however_they_divide_into_steps() -> None:
    """3 epochs of 10 images in batches of 4 are 8 steps; the last one reaches beyond the third epoch."""
    recipe = Recipe(epochs=3, batch_size=4, schedule_by="epoch", learning_rate=5e-4)
    rates = [rate_at(step, 8, 10, recipe) for step in range(8)]
    epochs = [0, 0, 0, 1, 1, 2, 2, 2]  # of each batch's first image: 0, 4, 8, 12 and so on, by tens
    assert recipe.total_steps(10) == 8
    assert rates == pytest.approx([5e-4 * (1 - epoch / 3) ** 0.9 for epoch in epochs])


@given(
    steps=st.integers(1, 300),
    images=st.integers(1, 500),
    power=st.floats(0, 3),
    warmup=st.integers(0, 50),
    schedule=st.sampled_from(sorted(SCHEDULES)),
    by=st.sampled_from(["step", "epoch"]),
)
def test_the_rate_is_never_zero_never_above_base_and_falls_after_warmup(
    steps: int, images: int, power: float, warmup: int, schedule: str, by: str
) -> None:
    warmup = min(warmup, steps - 1)
    rates = _rates(steps, images, power=power, warmup=warmup, schedule=schedule, schedule_by=by)
    assert all(0 < rate <= 1 for rate in rates)
    assert all(late <= early for early, late in zip(rates[warmup:], rates[warmup + 1 :], strict=False))
