"""The optimiser of a recipe: which parameters decay, and at what rate they learn."""

from typing import Any

from torch import nn, optim

from segsearch.train.recipe import Recipe


def make_optimizer(network: nn.Module, recipe: Recipe) -> optim.Optimizer:
    """SGD or Adam over two groups: with weight decay, and without it (see `parameter_groups`)."""
    groups = parameter_groups(network, recipe)
    if recipe.optimizer == "sgd":
        return optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    return optim.Adam(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999))


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Split the parameters into decayed ones and, unless `Recipe.decay_norm` is set, biases and normalisation weights.

    The latter are those of fewer than two dimensions; decaying only the others is "no bias decay" of "Bag of Tricks"
    (arXiv 1812.01187, sec. 3.1). A kind that is empty gives no group.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    decayed = [p for p in parameters if recipe.decay_norm or p.ndim >= 2]
    spared = [p for p in parameters if not recipe.decay_norm and p.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def set_learning_rate(optimizer: optim.Optimizer, rate: float) -> None:
    """Let every group learn at ``rate`` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate
