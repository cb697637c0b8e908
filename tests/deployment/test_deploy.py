import copy

import numpy as np
import pytest
import torch
from torch import nn

from segsearch.deployment.deploy import Deployed, deploy, fold, network_masks
from segsearch.errors import InputError
from tests.deployment.networks import MEAN, SIZE, STD, Small, pictures, randomized

LEFT_OVERS = (nn.BatchNorm2d, nn.Dropout, nn.Dropout2d)


def as_batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()


@pytest.mark.parametrize("size", [(64, 96), SIZE])
def test_folded_logits_equal_the_unfolded(size: tuple[int, int]) -> None:
    network = randomized(Small()).double()
    image = torch.randn(2, 3, *size, dtype=torch.float64)
    folded = fold(network)
    assert torch.allclose(folded(image), network.eval()(image), rtol=1e-9, atol=1e-9)


def test_folding_leaves_nothing_of_training_behind_and_the_original_alone() -> None:
    network = randomized(Small())
    before = copy.deepcopy(network.state_dict())
    folded = fold(network)
    assert not [m for m in folded.modules() if isinstance(m, LEFT_OVERS)]
    assert isinstance(folded, Small) and not folded.training and len(folded.auxiliary) == 0
    assert len(folded.supervise(torch.randn(1, 3, 32, 32))) == 1
    assert network.training and len(network.auxiliary) == 1
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_folding_a_transposed_convolution() -> None:
    network = nn.Module()
    network.conv, network.norm = nn.ConvTranspose2d(3, 4, 2, 2), nn.BatchNorm2d(4)
    randomized(network)
    image = torch.randn(1, 3, 5, 5)
    folded = fold(network)
    assert torch.allclose(folded.conv(image), network.eval().norm(network.conv(image)), atol=1e-5)


class NormFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.convolution = nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)


@pytest.mark.parametrize("network", [NormFirst(), nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))])
def test_a_norm_that_cannot_be_folded_is_our_mistake(network: nn.Module) -> None:
    with pytest.raises(AssertionError, match="BatchNorm that follows no convolution"):
        fold(network)


def test_deployed_gives_the_networks_masks(network: nn.Module, deployed: Deployed) -> None:
    expected = network_masks(network, MEAN, STD)
    for image in pictures(3):
        mask = deployed(as_batch(image))
        assert mask.dtype == torch.uint8 and mask.shape == (1, *SIZE)
        assert (mask[0].numpy() == expected(image)).mean() > 0.999
    assert np.unique(mask).size > 1, "a constant mask would prove nothing"


def test_deployed_is_frozen_in_eval_and_in_float32() -> None:
    artefact = deploy(randomized(Small()).double(), (32, 64), MEAN, STD)
    assert not artefact.training
    assert not [name for name, p in artefact.named_parameters() if p.requires_grad]
    assert {p.dtype for p in artefact.parameters()} == {torch.float32}
    assert artefact.classes == 5 and artefact.size_hw == (32, 64)


@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(1, 3, 97, 204, dtype=torch.uint8),
        torch.zeros(2, 3, *SIZE, dtype=torch.uint8),
        torch.zeros(1, 3, *SIZE),
    ],
)
def test_an_image_of_another_kind_is_refused(deployed: Deployed, image: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"image: must be uint8 \(1, 3, 97, 203\), got"):
        deployed(image)


def test_what_cannot_be_deployed_is_refused() -> None:
    with pytest.raises(InputError, match="classes: 257 do not fit"):
        deploy(Small(classes=257), (32, 32), MEAN, STD)
    with pytest.raises(InputError, match="must be positive, got 0 x 32"):
        deploy(Small(), (0, 32), MEAN, STD)


def test_256_classes_fit_a_byte() -> None:
    mask = deploy(randomized(Small(classes=256)), (32, 32), MEAN, STD)(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert mask.dtype == torch.uint8


def test_torch_export_gives_equal_masks(deployed: Deployed) -> None:
    images = [as_batch(image) for image in pictures(2)]
    program = torch.export.export(deployed, (images[0],), strict=False)
    for image in images:
        assert torch.equal(program.module()(image), deployed(image))


def test_reference_masks_ignore_later_training(network: nn.Module) -> None:
    changing = copy.deepcopy(network)
    masks, image = network_masks(changing, MEAN, STD), pictures(1)[0]
    before = masks(image)
    nn.init.zeros_(changing.head[2].weight)
    assert np.array_equal(masks(image), before)
