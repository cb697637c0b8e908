import math

import torch
from torch import Tensor, nn

from segsearch.models.network import build
from segsearch.models.ops import ConvNorm
from segsearch.space.points import named_points


def spread(weight: Tensor) -> float:
    return float(weight.detach().std())


def test_convolutions_before_a_norm_start_by_their_outputs_and_classifiers_by_torchs_rule() -> None:
    torch.manual_seed(0)
    network = build(named_points()["sfnet_r18"].spec, 19)
    inside = {id(m.conv): m.conv for m in network.modules() if isinstance(m, ConvNorm)}
    for conv in inside.values():
        fan_out = conv.out_channels * math.prod(conv.kernel_size)
        assert abs(spread(conv.weight) / math.sqrt(2 / fan_out) - 1) < 0.1
    others = [m for m in network.modules() if isinstance(m, nn.Conv2d) and id(m) not in inside]
    assert len(others) == 10  # the classifier, and three convolutions in each of three FAMs
    for conv in others:
        fan_in = conv.in_channels * math.prod(conv.kernel_size)
        assert abs(spread(conv.weight) / math.sqrt(1 / (3 * fan_in)) - 1) < 0.1


def test_weights_follow_torchs_random_state() -> None:
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(build(named_points()["fpenet"].spec, 3).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["head.classify.weight"], states[2]["head.classify.weight"])
