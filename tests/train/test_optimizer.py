import pytest
import torch
from torch import nn

from segsearch.train.optimizer import make_optimizer, parameter_groups, set_learning_rate
from segsearch.train.recipe import Recipe

from .toys import tiny


def test_norm_and_bias_do_not_decay() -> None:
    decayed, spared = parameter_groups(tiny(), Recipe(iterations=1, weight_decay=0.5))
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.5, 0.0)
    assert {p.ndim for p in decayed["params"]} == {4}
    assert {p.ndim for p in spared["params"]} == {1}
    assert len(decayed["params"]) + len(spared["params"]) == len(list(tiny().parameters()))


def test_all_decay_on_request() -> None:
    (group,) = parameter_groups(tiny(), Recipe(iterations=1, decay_norm=True))
    assert len(group["params"]) == len(list(tiny().parameters()))


def test_frozen_parameters_stay_out() -> None:
    network = tiny()
    network.head.requires_grad_(False)
    learnt = sum(len(group["params"]) for group in parameter_groups(network, Recipe(iterations=1)))
    assert learnt == len(list(network.parameters())) - 2


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)])
def test_kinds_take_the_recipes_numbers(name: str, kind: type) -> None:
    optimizer = make_optimizer(tiny(), Recipe.parse({"iterations": 1, "optimizer": name, "momentum": 0.7}, "recipe"))
    assert type(optimizer) is kind
    group = optimizer.param_groups[0]
    assert (group["momentum"] if name == "sgd" else group["betas"][0]) == 0.7


def test_learning_rate_reaches_every_group() -> None:
    layer = nn.Linear(1, 1)
    nn.init.zeros_(layer.weight)
    optimizer = make_optimizer(layer, Recipe(iterations=1, optimizer="sgd", momentum=0.0, weight_decay=0.0))
    set_learning_rate(optimizer, 0.25)
    layer(torch.ones(1, 1)).sum().backward()
    before = layer.bias.item()
    optimizer.step()
    assert (layer.weight.item(), layer.bias.item()) == (-0.25, pytest.approx(before - 0.25))
