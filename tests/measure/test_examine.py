import pytest
import torch
from torch import nn

from segsearch.count.cost import count
from segsearch.errors import InputError
from segsearch.measure.latency import refuse_unfit
from segsearch.measure.roofline import examine

from .networks import SIZE, Mini

IMAGE = torch.rand(2, 3, *SIZE)


class Learns(nn.Module):
    """Turns gradients on, whatever its caller says."""

    def __init__(self, wrap):
        super().__init__()
        self.conv, self.wrap = nn.Conv2d(3, 4, 1), wrap

    def forward(self, image):
        with torch.inference_mode(False), torch.enable_grad():
            return self.wrap(self.conv(image.clone()))


def test_the_modules_that_run_are_counted():
    network = Mini().eval()
    work = examine(network, IMAGE)
    assert work.macs == count(network, SIZE, batch=2).macs
    numbers = sum(p.numel() for p in network.parameters()) + IMAGE.numel() + network(IMAGE).numel()
    assert work.bytes == 4 * numbers
    assert not any(module._forward_hooks for module in network.modules())


def test_bytes_are_those_of_the_types():
    work = examine(nn.Identity().eval(), torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    assert (work.macs, work.bytes) == (0, 2 * 3 * 64)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x, x), lambda x: {"out": [x]}])
def test_a_network_that_builds_a_graph_is_refused(wrap):
    with pytest.raises(InputError, match="network: builds an autograd graph in inference mode"):
        examine(Learns(wrap).eval(), IMAGE)


def test_parameters_that_want_gradients_are_no_graph():
    network = Mini().eval()
    assert all(p.requires_grad for p in network.parameters())
    examine(network, IMAGE)


def test_an_example_that_asks_for_gradients_is_refused():
    with pytest.raises(InputError) as error:
        refuse_unfit(Mini().eval(), IMAGE.clone().requires_grad_())
    assert str(error.value) == "example: asks for gradients (allowed: a tensor without requires_grad)"
