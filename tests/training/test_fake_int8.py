"""Convolutions that compute with int8's numbers: which, where, and with what gradients."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from segsearch.training.fake_int8 import FakeInt8, rounded, rounded_weights


def by_hand(values: Tensor, least: float, greatest: float, steps: int) -> Tensor:
    """What onnxruntime's QuantizeLinear and DequantizeLinear make of unsigned numbers."""
    scale = (greatest - least) / steps
    zero = np.round(-least / scale)
    return torch.from_numpy((np.clip(np.round(values.numpy() / scale) + zero, 0, steps) - zero) * scale).float()


def test_activations_have_256_steps_over_their_range() -> None:
    features = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = by_hand(features, float(features.min()), float(features.max()), 255)
    assert torch.allclose(rounded(features), expected, atol=1e-6)
    positive = features.abs() + 1.0
    assert torch.allclose(rounded(positive), by_hand(positive, 0.0, float(positive.max()), 255), atol=1e-6)
    assert rounded(torch.zeros(1, 1, 2, 2)).tolist() == torch.zeros(1, 1, 2, 2).tolist()


def test_weights_have_a_scale_per_output_channel() -> None:
    weight = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[1] *= 1000
    weight[2] = 0
    found = rounded_weights(weight)
    for one, other in zip(weight, found, strict=True):
        scale = float(one.abs().max()) / 127
        assert float((one - other).abs().max()) <= scale / 2 + 1e-9
        assert len(other.unique()) <= 255
    folded = rounded_weights(weight * torch.tensor([2.0, 3.0, 4.0, -5.0]).view(4, 1, 1, 1))
    assert torch.allclose(folded, found * torch.tensor([2.0, 3.0, 4.0, -5.0]).view(4, 1, 1, 1), rtol=1e-5)


class Two(nn.Module):
    """Two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        made: Tensor = self.second(self.first(image).relu())
        return made


def test_what_blurs_images_is_no_convolution_of_the_network() -> None:
    image, kernel = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.full((3, 3, 3, 3), 0.037)
    with FakeInt8():
        assert torch.equal(functional.conv2d(image, kernel), functional.conv2d(image, kernel.clone()))
        found = functional.conv2d(image, kernel)
    assert torch.equal(found, functional.conv2d(image, kernel))


def test_within_the_block_alone_and_not_where_it_shall_be_exact() -> None:
    network, image = Two(), torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        plain = network(image)
        with FakeInt8():
            changed = network(image)
        with FakeInt8(exact=(network.second.weight,)):
            partly = network(image)
        with FakeInt8(exact=tuple(network.parameters())):
            assert torch.equal(network(image), plain)
        assert torch.equal(network(image), plain)
        first = functional.conv2d(rounded(image), rounded_weights(network.first.weight), network.first.bias)
        assert torch.equal(partly, network.second(first.relu())) and not torch.equal(partly, changed)
    assert 0 < float((changed - plain).abs().max()) < 0.1


def test_gradients_pass_as_if_nothing_were_rounded() -> None:
    network, image = Two(), torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with FakeInt8():
        network(image).sum().backward()
    rough = [parameter.grad for parameter in network.parameters()]
    network.zero_grad()
    network(image).sum().backward()
    for grad, exact in zip(rough, network.parameters(), strict=True):
        assert grad is not None and exact.grad is not None
        assert torch.allclose(grad, exact.grad, rtol=0.05, atol=0.05 * float(exact.grad.abs().max()))
