import pytest
import torch
from torch import nn

from segsearch.training.memory_format import memory_format_of

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("conv", "expected"),
    [
        (nn.Conv2d(8, 48, 1, 2), torch.contiguous_format),
        (nn.Conv2d(64, 64, 1, 2, groups=8), torch.contiguous_format),
        (nn.Conv2d(8, 48, 1), torch.channels_last),
        (nn.Conv2d(8, 48, 3, 2), torch.channels_last),
        (nn.Conv2d(16, 48, 1, 2), torch.channels_last),
    ],
)
def test_only_what_overruns_keeps_its_channels_first(conv: nn.Module, expected: torch.memory_format) -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 3), conv)
    assert memory_format_of(network, CPU, True) == expected
    assert memory_format_of(network, CPU, False) == torch.preserve_format
    assert memory_format_of(network, torch.device("cuda"), True) == torch.channels_last


def test_a_network_that_would_overrun_learns() -> None:
    """The shortcut that DFANet begins with, at a size at which the process used to end."""
    conv = nn.Conv2d(8, 48, 1, 2, bias=False)
    conv.to(memory_format=memory_format_of(conv, CPU, True))
    image = torch.randn(2, 8, 128, 256)
    conv(image).sum().backward()
    expected = image[..., ::2, ::2].sum((0, 2, 3)).expand(48, 8)
    assert conv.weight.grad is not None
    torch.testing.assert_close(conv.weight.grad[:, :, 0, 0], expected, rtol=1e-3, atol=1e-2)
