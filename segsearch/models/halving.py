"""Pooling to half the size, as levels and necks do it."""

from torch import nn

from segsearch.spec.words import Pool


def halving(kind: Pool, kernel: int = 3) -> nn.Module:
    """Make a pool (B, C, H, W) to (B, C, H/2, W/2), sizes rounded up."""
    if kind == "max":
        return nn.MaxPool2d(kernel, 2, kernel // 2)
    # the border must not drag averages to zero
    return nn.AvgPool2d(kernel, 2, kernel // 2, count_include_pad=False)
