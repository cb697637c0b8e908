"""Fresh networks made to look trained: BatchNorm that is nearly an identity would hide mistakes in folding it."""

from typing import TypeVar

import torch
from torch import nn

from segsearch.models.necks.nodes import WeightedSum

N = TypeVar("N", bound=nn.Module)


@torch.no_grad()
def as_if_trained(network: N, seed: int = 0) -> N:
    """Draw statistics, scales and shifts of BatchNorm and weights of sums, negative ones included; returns eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.7, 1.3, generator=generator)
            module.bias.uniform_(-0.2, 0.2, generator=generator)
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)
            module.running_var.uniform_(0.6, 1.6, generator=generator)
        elif isinstance(module, WeightedSum) and module.kind != "plain":
            module.weights.uniform_(-0.5, 2, generator=generator)
    network.eval()
    return network
