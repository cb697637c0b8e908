import pytest
import torch
from torch import nn

from segsearch.count.conventions import CONVENTIONS, Tally, tally
from segsearch.count.cost import count
from tests.measure.networks import SIZE, ConvNorm, Mini, Resize


def test_elementary_counts_by_hand():
    assert tally(Mini(), SIZE) == Tally(
        macs=count(Mini(), SIZE).macs,
        conv_bias=5 * 96,  # the head; the linear layer's bias is no convolution's
        norm_elements=8 * 384 + 8 * 96,
        relu_elements=8 * 384 + 8 * 96,
        pool_input_elements=8 * 384 + 8 * 96,
        resize_output_elements=5 * 32 * 48,
        # max-pool 3x3, average over the image, the gate's product
        elementwise=9 * 8 * 96 + 8 * 96 + 8 * 96,
    )


def test_formulas_give_each_count_its_weight():
    weights = {
        "macs": (2, 0, 0, 0, 0, 0, 0),
        "ptflops": (2, 2, 4, 2, 2, 2, 0),
        "sfnet": (4, 4, 4, 2, 2, 0, 0),
        "tfprof": (2, 1, 0, 0, 0, 0, 1),
    }
    assert weights.keys() == CONVENTIONS.keys(), "`weights` in this test has a row of each convention"
    fields = list(Tally.model_fields)
    for name, expected in weights.items():
        twos = [Tally(**{field: 2 * (field == one) for field in fields}) for one in fields]
        assert tuple(map(CONVENTIONS[name], twos)) == expected


def test_every_convention_names_its_source():
    assert all("Source:" in (convention.__doc__ or "") for convention in CONVENTIONS.values())


def test_a_known_block_meets_published_increments():
    """One FPE block (64 -> 256 -> 64, 4 dilated groups) is 36,224 params and 36,800 operations a place by ptflops."""

    class Group(nn.Module):
        def __init__(self, dilation):
            super().__init__()
            self.conv = nn.Conv2d(64, 64, 3, 1, dilation, dilation, groups=64, bias=False)
            self.norm, self.act = nn.BatchNorm2d(64), nn.ReLU()

        def forward(self, x):
            return self.act(self.norm(self.conv(x)))

    class FpeBlock(nn.Module):
        def __init__(self):
            super().__init__()
            self.expand = nn.Sequential(nn.Conv2d(64, 256, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU())
            self.groups = nn.ModuleList(Group(dilation) for dilation in (1, 2, 4, 8))
            self.squeeze = nn.Sequential(nn.Conv2d(256, 64, 1, bias=False), nn.BatchNorm2d(64))
            self.act = nn.ReLU()

        def forward(self, x):
            carried, outs = 0, []
            for group, chunk in zip(self.groups, self.expand(x).chunk(4, 1), strict=True):
                carried = group(chunk + carried)
                outs.append(carried)
            return self.act(self.squeeze(torch.cat(outs, 1)) + x)

    class Lifted(nn.Module):
        """Channels by repetition, which no convention counts, so that the image has 64 of them."""

        def __init__(self):
            super().__init__()
            self.block = FpeBlock()

        def forward(self, image):
            return self.block(image.repeat(1, 22, 1, 1)[:, :64])

    assert count(Lifted(), (8, 8)).params == 36_224
    assert CONVENTIONS["ptflops"](tally(Lifted(), (8, 8))) == 64 * 36_800


@pytest.mark.parametrize(
    ("resize", "expected"),
    [
        (Resize(), 3 * 64 * 64),
        (nn.Upsample(size=(64, 64), mode="bilinear"), 3 * 64 * 64),
        (nn.UpsamplingBilinear2d(size=(64, 64)), 3 * 64 * 64),
        (nn.PixelShuffle(1), 0),
    ],
)
def test_which_resizes_count(resize, expected):
    class Only(nn.Module):
        def __init__(self):
            super().__init__()
            self.resize = resize

        def forward(self, image):
            return self.resize(image, (64, 64)) if isinstance(self.resize, Resize) else self.resize(image)

    assert tally(Only(), (32, 32)).resize_output_elements == expected
    if expected:  # to the size it already has
        assert tally(Only(), (64, 64)).resize_output_elements == 0


@pytest.mark.parametrize(
    "pool",
    [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(2)],
    ids=lambda p: type(p).__name__,
)
def test_pools_count_their_input(pool):
    assert tally(pool, (16, 16)).pool_input_elements == 3 * 256


def test_relus_and_a_folded_network():
    network = nn.Sequential(ConvNorm(3, 4), nn.ReLU6())
    network[0].norm = nn.Identity()
    counts = tally(network, (8, 8))
    assert (counts.norm_elements, counts.relu_elements) == (0, 2 * 4 * 64)


def test_elementwise_work_by_hand():
    class Work(nn.Module):
        def __init__(self):
            super().__init__()
            self.act, self.scale = nn.SiLU(), nn.Parameter(torch.ones(2))

        def forward(self, image):
            first, second = self.scale.softmax(0).unbind()
            x = self.act(image) * first + image * second
            return nn.functional.avg_pool2d(x.relu().sigmoid(), 3, 2, 1).mean((2, 3))

    x, halved = 3 * 16 * 16, 3 * 8 * 8
    assert tally(Work(), (16, 16)).elementwise == x + 2 * x + x + 9 * halved + halved
