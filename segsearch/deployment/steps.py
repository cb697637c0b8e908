"""The steps from a trained network to a fast one; each can be left out, to measure its effect.

A step that depends on how a module is built is a method of that module, see `Deployable`.
"""

from collections.abc import Callable, Collection
from functools import partial

import torch
from torch import nn

from segsearch.deployment import folding
from segsearch.deployment.deployable import Deployable, Seen, watch
from segsearch.deployment.deployed import Deployed
from segsearch.deployment.pools import fix_pools
from segsearch.errors import InputError

Step = Callable[[Deployed, Seen], None]

FOLDING: dict[str, Callable[[nn.Module], None]] = {
    "auxiliary": folding.drop_auxiliary,
    "dropout": folding.drop_dropout,
    "norms": folding.fold_norms,
    "scalars": folding.freeze_scalars,
}
"""Steps that do not depend on the image size, in order."""

HOOKS: dict[str, Callable[[Deployable, Seen], None]] = {
    "grids": lambda module, seen: module.freeze_grid(seen),
    "splits": lambda module, seen: module.split_expansion(seen),
    "sums": lambda module, seen: module.sum_branches(seen),
    "reorder": lambda module, seen: module.project_first(seen),
    "means": lambda module, seen: module.fold_mean(seen),
    "merges": lambda module, seen: module.merge_coarsely(seen),
    "weights": lambda module, seen: module.absorb_weights(seen),
}
"""Step to the method that implements it."""


def call_hook(hook: Callable[[Deployable, Seen], None], deployed: Deployed, seen: Seen) -> None:
    """Call a method of every module of the network that may have a cheaper form."""
    for module in list(deployed.network.modules()):
        if isinstance(module, Deployable):
            hook(module, seen)


def pools(deployed: Deployed, seen: Seen) -> None:
    """See `fix_pools`."""
    fix_pools(deployed.network, seen)


def normalisation(deployed: Deployed, seen: Seen) -> None:
    """Fold the scale of the normalisation into the convolutions that read the image (``image_readers``).

    The shift is not folded: padding is zero after normalisation, which a bias cannot express.
    """
    readers = deployed.network.image_readers() if isinstance(deployed.network, Deployable) else ()
    if not readers or not deployed.scales:
        return
    for conv in readers:
        conv.weight = nn.Parameter(conv.weight.detach() * deployed.scale)
    deployed.shift.div_(deployed.scale)
    deployed.scale.fill_(1)
    deployed.scales = False


def mask(deployed: Deployed, seen: Seen) -> None:
    """Note what the last resize is given, so that `Deployed.fused` can have it and the argmax as one."""
    if not deployed.logits and isinstance(deployed.network, Deployable):
        deployed.coarse = deployed.network.coarse_logits(seen)


STEPS: dict[str, Step] = {
    "pools": pools,
    **{name: partial(call_hook, hook) for name, hook in HOOKS.items()},
    "normalisation": normalisation,
    "mask": mask,
}
"""Steps for one image size, in order, after those of `FOLDING`."""


def apply_steps(deployed: Deployed, without: Collection[str] = ()) -> None:
    """Apply all steps in place, except those named.

    Raises:
        InputError: an unknown step is named.
    """
    known = (*FOLDING, *STEPS)
    for name in without:
        if name not in known:
            raise InputError("without", f"'{name}' is no step", known)
    for name, change in FOLDING.items():
        if name not in without:
            change(deployed.network)
    deployed.to("cpu", torch.float32)
    seen = watch(deployed.network, torch.zeros(1, 3, *deployed.size_hw))
    for name, step in STEPS.items():
        if name not in without:
            step(deployed, seen)
