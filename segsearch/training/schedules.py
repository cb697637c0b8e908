"""The learning rate of every step: a warm-up, then one of the curves."""

import math
from collections.abc import Callable

from segsearch.training.recipe import Recipe

Curve = Callable[[float, float], float]
"""From the share of the training that is done, 0 to below 1, and `Recipe.power` to a part of the base rate."""

SCHEDULES: dict[str, Curve] = {
    "poly": lambda done, power: (1 - done) ** power,  # DeepLab, arXiv 1606.00915, section 4.1
    "cosine": lambda done, power: 0.5 * (1 + math.cos(math.pi * done)),  # SGDR, arXiv 1608.03983, no restarts
    "constant": lambda done, power: 1.0,
}


def rate_at(step: int, total: int, images: int, recipe: Recipe) -> float:
    """Learning rate of step 0 .. total - 1 in a training on ``images`` images; never 0.

    With ``schedule_by: epoch`` the curve is taken at the share of complete epochs, as FPENet writes it (section
    4.1). The steps of the warm-up are scaled by ``(step + 1) / (warmup + 1)``.
    """
    assert 0 <= step < total, f"step {step} of {total}"
    done = step / total
    if recipe.schedule_by == "epoch":
        epochs = recipe.epochs or math.ceil(total * recipe.batch_size / images)
        done = (step * recipe.batch_size // images) / epochs
    ramp = min(1.0, (step + 1) / (recipe.warmup_in(total) + 1))
    return recipe.learning_rate * ramp * SCHEDULES[recipe.schedule](done, recipe.power)
