import pytest
import torch
from torch import nn

from segsearch.training.average import Average

from .toys import tiny


def test_the_average_by_hand() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 8.0)
    average = Average(layer, 0.25)
    expected = 8.0
    for step, weight in enumerate((1.0, 3.0, -2.0), 1):
        nn.init.constant_(layer.weight, weight)
        average.update(step)
        decay = (2 / 11, 3 / 12, 0.25)[step - 1]  # 4 / 13 is more than 0.25
        expected = decay * expected + (1 - decay) * weight
        assert average.tensors["weight"].item() == pytest.approx(expected)
    assert layer.weight.item() == -2.0


def test_statistics_are_averaged_and_counters_are_not() -> None:
    network = tiny()
    average = Average(network, 0.5)
    assert {name for name in network.state_dict() if name not in average.tensors} == {
        "body.1.num_batches_tracked",
        "body.4.num_batches_tracked",
    }
    network(torch.randn(2, 3, 8, 8) + 5)
    average.update(100)
    mean = network.state_dict()["body.1.running_mean"]
    assert mean.any() and torch.allclose(average.tensors["body.1.running_mean"], mean / 2)


def test_another_networks_average_is_refused() -> None:
    with pytest.raises(RuntimeError):
        Average(tiny(width=4), 0.5).restore(Average(tiny(), 0.5).tensors)
    with pytest.raises(KeyError):
        Average(tiny(auxiliary=True), 0.5).restore(Average(tiny(), 0.5).tensors)
