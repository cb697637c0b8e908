"""Folding by running: every way in which a BatchNorm can stand, and a lie that is noticed."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segsearch.deployment.deploy import fold
from segsearch.deployment.deployable import Deployable
from segsearch.deployment.fold_running import Affine, fold_by_running, same_maps
from segsearch.errors import ProofError


class NormAct(nn.BatchNorm2d):
    """As timm's BatchNormAct2d: an activation inside."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(super().forward(x))


class Standardised(nn.Conv2d):
    """As weight standardisation: another weight than the one that is stored."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight - self.weight.mean((1, 2, 3), keepdim=True), self.bias, padding=self.padding)


class Net(nn.Module):
    """Plain, with an activation, standardised, shared, before its convolution, and behind a map that is returned."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.down = nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1, groups=2), NormAct(4))
        self.other, self.bn2 = Standardised(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.shared, self.left, self.right = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False)
        self.before = nn.BatchNorm2d(4)
        self.raw, self.bn3 = nn.Conv2d(4, 5, 1), NormAct(5)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.bn2(self.other(self.down(self.bn1(self.conv1(image)))))
        shared = self.shared(x)
        x = self.before(self.left(shared) * self.right(shared))
        raw = self.raw(x)
        return [raw, self.bn3(raw)]


class Peeking(nn.Module):
    """Adds up what its convolution makes before and after the norm, unseen by hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.conv(image)
        return [x + self.bn(x)]


def randomized(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.uniform_(module.bias, -1, 1)
    return network.eval()


def test_every_norm_is_folded_where_it_may_be_and_kept_as_numbers_where_not() -> None:
    network = randomized(Net()).double()
    image = torch.randn(2, 3, 20, 22, dtype=torch.float64)
    with torch.no_grad():
        before = network(image)
        with same_maps(network, "Net"):
            fold_by_running(network)
        for found, expected in zip(network(image), before, strict=True):
            torch.testing.assert_close(found, expected)
    assert not [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    affine = [name for name, m in network.named_modules() if isinstance(m, Affine)]
    assert affine == ["bn2.0", "left.0", "right.0", "before.0", "bn3.0"]
    assert network.conv1.bias is not None and isinstance(network.down[1][0], nn.ReLU)


def test_a_reader_that_is_not_seen_is_noticed() -> None:
    network = randomized(Peeking())
    with (
        pytest.raises(ProofError, match=r"mine cannot be folded: its maps change by \d+\.\d %"),
        same_maps(network, "mine"),
    ):
        fold_by_running(network)


def test_a_module_may_fold_what_is_below_it() -> None:
    class Own(Deployable):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net()

        def forward(self, image: Tensor) -> Tensor:
            return self.net(image)[1]

        def fold_norms(self) -> None:
            fold_by_running(self.net)

    network = randomized(Own())
    image = torch.randn(1, 3, 20, 22)
    folded = fold(network)
    with torch.no_grad():
        torch.testing.assert_close(folded(image), network(image), rtol=1e-4, atol=1e-4)
    assert [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
