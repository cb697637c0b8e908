"""Removes what only training needs: auxiliary heads, dropout, BatchNorm, learnt scalars."""

import copy

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils.fusion import fuse_conv_bn_eval

from segsearch.deployment.deployable import Deployable


def fold(network: nn.Module) -> nn.Module:
    """Copy a network for deployment: BatchNorm folded, no dropout, no auxiliary heads, eval mode.

    A module with ``freeze_scalars`` turns its learnt scalars into constants, as in ESeg (section 3.2); one with
    ``fold_norms`` folds the modules below it itself.

    The copy gives the same logits as ``network.eval()`` up to rounding; the given network is not changed.

    Raises:
        AssertionError: a BatchNorm that is not ``norm`` in a module whose ``conv`` is its convolution.
    """
    folded = copy.deepcopy(network).eval()
    for step in (drop_auxiliary, drop_dropout, fold_norms, freeze_scalars):
        step(folded)
    return folded


def drop_auxiliary(network: nn.Module) -> None:
    """Remove the auxiliary heads."""
    if "auxiliary" in dict(network.named_children()):
        network.add_module("auxiliary", nn.ModuleList())


def drop_dropout(network: nn.Module) -> None:
    """Replace each dropout by the identity."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _DropoutNd):
                module.add_module(name, nn.Identity())


def fold_norms(network: nn.Module) -> None:
    """Fold each BatchNorm into the convolution before it. Raises: see `fold`."""
    for module in list(network.modules()):
        if isinstance(module, Deployable):
            module.fold_norms()  # first, as it changes the modules below
        conv, norm = getattr(module, "conv", None), getattr(module, "norm", None)
        if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, _BatchNorm):
            assert norm.running_mean is not None, "BatchNorm has no running statistics and cannot be folded"
            module.conv = fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose2d))
            module.norm = nn.Identity()
    left = [name for name, module in network.named_modules() if isinstance(module, _BatchNorm)]
    assert not left, f"BatchNorm that follows no convolution of its own: {left}"


def freeze_scalars(network: nn.Module) -> None:
    """Turn learnt scalars into constants, in modules that implement it."""
    for module in list(network.modules()):
        if isinstance(module, Deployable):
            module.freeze_scalars()
