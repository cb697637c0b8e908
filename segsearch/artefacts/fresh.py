"""Untrained networks whose masks contain all classes, so that comparing an exported file with them is a real test."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from segsearch.data.normalise import to_tensor
from segsearch.deployment.images import Bytes
from segsearch.models.necks.nodes import WeightedSum
from segsearch.models.network import Network, build
from segsearch.spec.network import NetworkSpec

LEAST_VARIANCE, LEAST_SHARE = 1e-3, 0.1
"""Least variance in BatchNorm, absolute and per squared mean: a smaller one would amplify rounding errors."""


def fresh(spec: NetworkSpec, classes: int, images: Sequence[Bytes], seed: int = 0) -> Network:
    """Build an untrained network that predicts all of its classes; equal arguments give equal weights.

    A randomly initialised network predicts one class everywhere, and almost any file would agree with that. Therefore
    BatchNorm gets its statistics from ``images`` (two or more, uint8 [H, W, 3]), and the classifier is set so that the
    logits of each class have mean 0 on them. No parameter that deployment folds has its neutral value, so that losing
    one changes the mask.
    """
    assert len(images) > 1, "BatchNorm needs more than one value per channel at the coarsest levels"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(spec, classes)
        randomize_affine(network)
        batch = to_tensor(np.stack(images))
        set_batchnorm_statistics(network, batch)
    centre_logits(network, batch)
    return network


@torch.no_grad()
def randomize_affine(network: Network) -> None:
    """Draw the scales and shifts of BatchNorm and the weights of sums at random.

    The shifts are positive, so that ReLUs cut off little: otherwise a deep untrained network amplifies rounding errors
    of its first layers until exact copies give different masks.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.uniform_(0.5, 2.0)
        if isinstance(module, WeightedSum) and module.kind != "plain":
            module.weights.uniform_(0.2, 2.0)


@torch.no_grad()
def set_batchnorm_statistics(network: Network, batch: torch.Tensor) -> None:
    """Set the statistics of BatchNorm to those of a normalised batch (B, 3, H, W); leaves the network in eval mode."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # statistics of this batch only
    network.train()(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        assert norm.running_var is not None and norm.running_mean is not None
        norm.running_var.add_(LEAST_SHARE * norm.running_mean.square()).clamp_(min=LEAST_VARIANCE)
    network.eval()


@torch.no_grad()
def centre_logits(network: Network, batch: torch.Tensor) -> None:
    """Set the classifier so that on a batch (B, 3, H, W) each class has logits of mean 0, and all have deviation 1.

    All classes share one scale: with one per class, classes that depend on the same feature would tie everywhere.
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
    else:  # with no bias, shift the weights along the mean feature
        features = read[0].mean((0, 2, 3))
        centre = classify.weight[:, :, classify.kernel_size[0] // 2, classify.kernel_size[1] // 2]
        centre -= middle[:, None] * features / features.square().sum()
    classify.weight /= width
