"""Weights of chance that still say something, so that a proof on them does."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from segsearch.data.normalise import to_tensor
from segsearch.export.images import Bytes
from segsearch.models.build import build
from segsearch.models.necks.nodes import WeightedSum
from segsearch.models.network import Network
from segsearch.spec.network import NetworkSpec

LEAST_VARIANCE, LEAST_SHARE = 1e-3, 0.1
"""Channels that are nearly even, or even beside their mean, are not blown up: their rounding errors would be, too."""


def fresh(spec: NetworkSpec, classes: int, images: Sequence[Bytes], seed: int = 0) -> Network:
    """Build a network that nobody has trained, always the same, with all its classes in use.

    As built, it would name one class everywhere, and any file would agree with that. So BatchNorm takes its statistics
    from ``images``, two or more of uint8 [H, W, 3], and the classifier is set so that each class has logits of mean 0
    on them. No number that deployment folds has its neutral value, so that one that is lost shows.
    """
    assert len(images) > 1, "BatchNorm needs more than one value per channel at the coarsest levels"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(spec, classes)
        enliven(network)
        batch = to_tensor(np.stack(images))
        settle(network, batch)
    balance(network, batch)
    return network


@torch.no_grad()
def enliven(network: Network) -> None:
    """Draw what folds into convolutions.

    Normalised maps are shifted up, so that little of them is cut off at zero: the depths of a network of chance would
    else turn the last digit of its first layers into another mask, and exact copies of it would seem to differ.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.uniform_(0.5, 2.0)
        if isinstance(module, WeightedSum) and module.kind != "plain":
            module.weights.uniform_(0.2, 2.0)


@torch.no_grad()
def settle(network: Network, batch: torch.Tensor) -> None:
    """Set all statistics of BatchNorm to those of a normalised batch (B, 3, H, W); leaves the network in eval mode."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # the batch alone
    network.train()(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        assert norm.running_var is not None and norm.running_mean is not None
        norm.running_var.add_(LEAST_SHARE * norm.running_mean.square()).clamp_(min=LEAST_VARIANCE)
    network.eval()


@torch.no_grad()
def balance(network: Network, batch: torch.Tensor) -> None:
    """Shift the classifier until each class has logits of mean 0 on a batch (B, 3, H, W), all of deviation 1 together.

    One scale for all classes: with one each, classes that follow the same feature would tie everywhere.
    """
    classify, read = network.head.classify, list[torch.Tensor]()
    assert isinstance(classify, nn.Conv2d)
    handle = classify.register_forward_pre_hook(lambda module, args: read.append(args[0]))
    logits = network(batch).transpose(0, 1).flatten(1)
    handle.remove()
    middle = logits.mean(1)
    width = (logits - middle[:, None]).std().clamp(min=1e-6)
    if classify.bias is not None:
        classify.bias.copy_((classify.bias - middle) / width)
    else:  # the features' own mean stands in for the one that a bias is multiplied by
        features = read[0].mean((0, 2, 3))
        centre = classify.weight[:, :, classify.kernel_size[0] // 2, classify.kernel_size[1] // 2]
        centre -= middle[:, None] * features / features.square().sum()
    classify.weight /= width
