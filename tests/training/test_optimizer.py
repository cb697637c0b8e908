from typing import get_args

import pytest
import torch
from torch import nn

from segsearch.errors import DeviceError
from segsearch.training.optimizer import Precision, make_optimizer, parameter_groups, set_learning_rate
from segsearch.training.recipe import Recipe

from .toys import tiny

CPU = torch.device("cpu")


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


KINDS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
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


@pytest.mark.parametrize(("amp", "dtype"), [("none", torch.float32), ("bf16", torch.bfloat16)])
def test_forward_computes_in_the_named_precision(amp: str, dtype: torch.dtype) -> None:
    with Precision(amp, CPU).forward():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_fp16_needs_cuda() -> None:
    with pytest.raises(DeviceError, match=r"'fp16' needs a CUDA device, got cpu \(allowed: none, bf16\)"):
        Precision("fp16", CPU)


def test_scaler_is_idle_on_cpu() -> None:
    scaler = Precision("bf16", CPU).scaler
    loss = torch.tensor(2.0)
    assert torch.equal(scaler.scale(loss), loss) and scaler.state_dict() == {}


def test_every_optimiser_of_a_recipe_was_tried() -> None:
    assert set(KINDS) == set(get_args(Recipe.model_fields["optimizer"].annotation))


@pytest.mark.parametrize(("name", "weight"), [("sgd", 3.8), ("adam", 3.9), ("adamw", 3.8)])
def test_only_adamw_decays_apart_from_the_gradient(name: str, weight: float) -> None:
    """Without a gradient: SGD steps by rate x decay x weight, Adam by the rate alone, and AdamW shrinks as SGD does."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 4.0)
    choices = {"iterations": 1, "optimizer": name, "weight_decay": 0.5, "learning_rate": 0.1}
    optimizer = make_optimizer(layer, Recipe.parse(choices, "recipe"))
    (0 * layer(torch.ones(1, 1))).sum().backward()
    optimizer.step()
    assert layer.weight.item() == pytest.approx(weight)
