import pytest
import torch
from torch import nn

from segsearch.count.cost import record_calls, shadow
from segsearch.errors import InputError
from tests.measure.networks import SIZE, Mini, state


def test_calls_carry_names_and_shapes_in_order():
    calls = record_calls(Mini(), SIZE, batch=2)
    by_name = {call.name: call for call in calls}
    assert by_name["encoder.0.conv"].input_shape == (2, 3, 32, 48)
    assert by_name["encoder.0.conv"].output_shape == (2, 8, 16, 24)
    assert by_name["resize"].output_elements == 2 * 5 * 32 * 48
    assert [call.name for call in calls if call.name.startswith("levels.")] == ["levels.4", "levels.4"]
    assert not any(call.name.startswith("auxiliary") for call in calls)


def test_the_network_is_left_as_it_was_even_in_train_mode():
    network = Mini().train()
    network.head.eval()
    before = state(network)
    record_calls(network, SIZE)
    assert state(network) == before


def test_shadow_holds_no_memory_and_keeps_shared_tensors_shared():
    network = Mini()
    network.auxiliary[0].weight = network.head.weight
    ghost = shadow(network)
    assert {tensor.device.type for tensor in (*ghost.parameters(), *ghost.buffers())} == {"meta"}
    assert ghost.auxiliary[0].weight is ghost.head.weight
    assert not any(module.training for module in ghost.modules())


def test_networks_of_half_precision_run_too():
    assert record_calls(Mini().to(torch.bfloat16), SIZE)


@pytest.mark.parametrize(("size_hw", "batch"), [((0, 32), 1), ((32, -1), 1), ((32, 32), 0)])
def test_sizes_that_are_none_are_refused(size_hw, batch):
    with pytest.raises(InputError, match="not an image size"):
        record_calls(nn.Identity(), size_hw, batch)
