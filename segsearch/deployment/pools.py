"""Adaptive pooling at one known size: exact, and a few nodes instead of hundreds in the exported graph."""

from math import ceil

import torch
from torch import Tensor, nn

from segsearch.deployment.deployable import Seen

Size = tuple[int, int]


class MatrixPool(nn.Module):
    """Average pooling into bins that do not divide the image, as two small matrix products: ``rows @ x @ columns``.

    Bins are those of ``nn.AdaptiveAvgPool2d``: bin i of n covers pixels floor(i * H / n) up to ceil((i + 1) * H / n).
    Exporters unroll them pixel by pixel (over 250 nodes for the pyramid 1, 2, 3, 6 on 23 x 30), which no runtime mends.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, size_hw: Size, bins_hw: Size) -> None:
        super().__init__()
        self.register_buffer("rows", _averages(size_hw[0], bins_hw[0]))
        self.register_buffer("columns", _averages(size_hw[1], bins_hw[1]).T.contiguous())

    def forward(self, features: Tensor) -> Tensor:
        """Pool features [B, C, H, W] of the declared size into [B, C, *bins_hw]."""
        return self.rows @ features @ self.columns


def _averages(length: int, bins: int) -> Tensor:
    """Matrix [bins, length] whose row i averages the pixels of bin i."""
    matrix = torch.zeros(bins, length)
    for i in range(bins):
        first, end = i * length // bins, ceil((i + 1) * length / bins)
        matrix[i, first:end] = 1 / (end - first)
    return matrix


def fix_pools(network: nn.Module, seen: Seen) -> None:
    """Replace, in place, each adaptive average pool by its equal at the size that it is ``seen`` to get.

    A pool met at more than one size, or not at all, stays as it is, and so does one into a single bin, which exporters
    write as one plain mean.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if (
                isinstance(child, nn.AdaptiveAvgPool2d)
                and child.output_size not in (1, (1, 1))
                and (args := seen(child))
            ):
                height, width = args[0].shape[-2:]
                parent.add_module(name, _fixed(child, (height, width)))


def _fixed(pool: nn.AdaptiveAvgPool2d, size_hw: Size) -> nn.Module:
    """Build the pool's equal at one input size: a plain pool where the bins divide it, matrices where they do not."""
    wanted = pool.output_size if isinstance(pool.output_size, tuple) else (pool.output_size, pool.output_size)
    bins = (wanted[0] or size_hw[0], wanted[1] or size_hw[1])
    if size_hw[0] % bins[0] or size_hw[1] % bins[1]:
        return MatrixPool(size_hw, bins)
    return nn.AvgPool2d((size_hw[0] // bins[0], size_hw[1] // bins[1]))
