import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from segsearch.errors import DeviceError
from segsearch.train.optimizer import Precision, make_optimizer, parameter_groups, poly, set_learning_rate
from segsearch.train.recipe import Recipe

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


def test_known_learning_rates() -> None:
    assert poly(0, 100, base=0.01, power=0.9) == 0.01
    assert poly(50, 100, base=0.01, power=0.9) == pytest.approx(0.01 * 0.5**0.9)
    assert poly(99, 100, base=0.01, power=0.9) == pytest.approx(0.01 * 0.01**0.9)
    assert poly(99, 100, base=0.01, power=0.0) == 0.01


def test_warmup_of_the_learning_rate_is_linear_and_ends() -> None:
    rates = [poly(step, 1000, base=1.0, power=0.0, warmup=4) for step in range(6)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


@given(total=st.integers(1, 500), power=st.floats(0, 3), warmup=st.integers(0, 50))
def test_the_learning_rate_is_never_zero_never_above_base_and_falls_after_warmup(
    total: int, power: float, warmup: int
) -> None:
    rates = [poly(step, total, base=0.1, power=power, warmup=warmup) for step in range(total)]
    assert all(0 < rate <= 0.1 for rate in rates)
    assert all(late <= early for early, late in zip(rates[warmup:], rates[warmup + 1 :], strict=False))


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
