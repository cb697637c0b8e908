"""What training needs and a deployed network does not: auxiliary heads, dropout, BatchNorm, learnt numbers."""

import copy

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(network: nn.Module) -> nn.Module:
    """Copy a network for deployment: each BatchNorm inside its convolution, no dropout, no auxiliary heads, eval mode.

    A module that has ``freeze_scalars`` turns its learnt numbers into constants there, as ESeg (section 3.2) asks;
    one that has ``fold_norms`` folds what is below it in its own way.

    The copy gives the same logits as ``network.eval()`` up to rounding; the given network is not touched.

    Raises:
        AssertionError: a BatchNorm that does not sit beside its convolution as ``conv`` and ``norm``.
    """
    folded = copy.deepcopy(network).eval()
    for step in (drop_auxiliary, drop_dropout, fold_norms, freeze_scalars):
        step(folded)
    return folded


def drop_auxiliary(network: nn.Module) -> None:
    """Remove the heads that only training hears."""
    if hasattr(network, "auxiliary"):
        network.auxiliary = nn.ModuleList()


def drop_dropout(network: nn.Module) -> None:
    """Put nothing in place of each dropout."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _DropoutNd):
                module.add_module(name, nn.Identity())


def fold_norms(network: nn.Module) -> None:
    """Bring each BatchNorm into the convolution before it. Raises: see `fold`."""
    for module in list(network.modules()):
        if callable(own := getattr(module, "fold_norms", None)):
            own()  # before anything below it is looked at
        conv, norm = getattr(module, "conv", None), getattr(module, "norm", None)
        if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, _BatchNorm):
            assert norm.running_mean is not None, "BatchNorm without running statistics cannot be folded"
            module.conv = fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose2d))
            module.norm = nn.Identity()
    left = [name for name, module in network.named_modules() if isinstance(module, _BatchNorm)]
    assert not left, f"BatchNorm without a convolution of its own: {left}"


def freeze_scalars(network: nn.Module) -> None:
    """Turn learnt numbers into constants, where a module says that it can."""
    for module in list(network.modules()):
        if callable(freeze := getattr(module, "freeze_scalars", None)):
            freeze()
