import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from segsearch.count.cost import AUXILIARY, OWN, Cost, count
from tests.measure.networks import SIZE, Convolutions, Mini, state


def parts_of(cost):
    return {part.name: (part.params, part.macs) for part in cost.parts}


def test_every_part_by_hand():
    # maps: 16x24 = 384 places after the stem, 8x12 = 96 after the pool
    cost = count(Mini(), SIZE)
    assert parts_of(cost) == {
        "encoder": (8 * 27 + 16 + 8 * 2 * 9 + 16, 384 * 8 * 27 + 96 * 8 * 2 * 9),
        "levels": (64, 2 * 96 * 64),
        "context": (0, 0),
        "neck": (72, 64),
        "head": (45, 96 * 40),
        "auxiliary": (45, 0),
    }


def test_parts_sum_to_the_totals_and_auxiliary_stands_apart():
    network = Mini()
    cost = count(network, SIZE)
    assert sum(part.macs for part in cost.parts) == cost.macs
    assert sum(part.params for part in cost.parts if part.name != AUXILIARY) == cost.params
    assert cost.params + cost.auxiliary_params == sum(p.numel() for p in network.parameters())
    assert cost.auxiliary_params == 45


def test_auxiliary_heads_do_not_change_the_deployed_cost():
    with_heads, without = Mini(), Mini()
    without.auxiliary = nn.ModuleList()
    assert (count(with_heads, SIZE).params, count(with_heads, SIZE).macs) == (
        count(without, SIZE).params,
        count(without, SIZE).macs,
    )
    assert parts_of(count(without, SIZE))["auxiliary"] == (0, 0)


@given(st.integers(5, 40), st.integers(5, 40), st.integers(1, 3))
def test_macs_are_half_of_what_torch_counts(height, width, batch):
    network = Convolutions().eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(batch, 3, height, width))
    assert 2 * count(network, (height, width), batch).macs == counter.get_total_flops()


def test_transposed_and_other_ranks_by_hand():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose1d(3, 4, 5, stride=2)
            self.down = nn.Conv1d(4, 2, 3)

        def forward(self, image):
            return self.down(self.up(image.flatten(2)))

    up, down = 100 * 3 * 4 * 5, (203 - 2) * 2 * 4 * 3
    assert parts_of(count(Flat(), (10, 10))) == {"up": (64, up), "down": (26, down)}


def test_macs_grow_with_the_batch_and_params_do_not():
    one, four = count(Mini(), SIZE), count(Mini(), SIZE, batch=4)
    assert (four.macs, four.params) == (4 * one.macs, one.params)


def test_shared_parameters_count_once_and_belong_to_the_deployed_part():
    network = Mini()
    network.auxiliary[0] = network.head
    cost = count(network, SIZE)
    assert parts_of(cost)["head"][0] == 45
    assert cost.auxiliary_params == 0


def test_what_hangs_on_the_network_itself_is_a_part_of_its_own():
    network = Mini()
    network.weights = nn.Parameter(torch.zeros(7))
    cost = count(network, SIZE)
    assert parts_of(cost)[OWN] == (7, 0)
    assert count(nn.Conv2d(3, 2, 1), (4, 4)).parts[0].name == OWN


def test_a_resize_inside_the_network_is_followed():
    class Halved(Mini):
        def forward(self, image):
            return super().forward(self.resize(image, (image.shape[2] // 2, image.shape[3] // 2)))

    assert count(Halved(), (64, 96)).macs == count(Mini(), SIZE).macs


def test_full_size_is_counted_on_an_untouched_network():
    network = Mini().train()
    before = state(network)
    assert count(network, (1024, 2048)).macs > 1000 * count(network, SIZE).macs
    assert state(network) == before


def test_cost_survives_json():
    cost = count(Mini(), SIZE)
    assert Cost.parse(json.loads(cost.model_dump_json()), "cost") == cost
    assert Cost.parse(json.loads(cost.canonical()), "cost") == cost


@pytest.mark.parametrize("network", [nn.Identity(), nn.ReLU()])
def test_a_network_of_nothing_costs_nothing(network):
    cost = count(network, SIZE)
    assert (cost.params, cost.macs, cost.parts) == (0, 0, ())
