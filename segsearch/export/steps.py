"""The steps from a trained network to a fast one, each a function that can be left out and measured.

Steps that rest on how a network is built are asked of its modules: a module that has a method of the step's name in
`HOOKS` changes itself there, in place, so that it gives what it gave before, up to rounding, in fewer or cheaper
operations. The method is told what any module is given at this size (see `segsearch.export.seen`).
"""

from collections.abc import Callable, Collection
from functools import partial

import torch
from torch import nn

from segsearch.errors import InputError
from segsearch.export import folding
from segsearch.export.deployed import Deployed
from segsearch.export.pools import fix_pools
from segsearch.export.seen import Seen, watch

Step = Callable[[Deployed, Seen], None]

FOLDING: dict[str, Callable[[nn.Module], None]] = {
    "auxiliary": folding.drop_auxiliary,
    "dropout": folding.drop_dropout,
    "norms": folding.fold_norms,
    "scalars": folding.freeze_scalars,
}
"""Steps that no size matters to, in order."""

HOOKS: dict[str, str] = {
    "grids": "freeze_grid",
    "splits": "split_expansion",
    "sums": "sum_branches",
    "reorder": "project_first",
    "means": "fold_mean",
    "merges": "merge_coarsely",
    "weights": "absorb_weights",
}
"""Step to the method that a module does it by."""


def ask(hook: str, deployed: Deployed, seen: Seen) -> None:
    """Let every module of the network that has ``hook`` do what it names."""
    for module in list(deployed.network.modules()):
        if callable(change := getattr(module, hook, None)):
            change(seen)


def pools(deployed: Deployed, seen: Seen) -> None:
    """See `fix_pools`."""
    fix_pools(deployed.network, seen)


def normalisation(deployed: Deployed, seen: Seen) -> None:
    """Leave one subtraction: the scale goes into the convolutions that read the image (``image_readers``).

    The shift stays outside: a padded border is zero after it, which a bias cannot say.
    """
    hook = getattr(deployed.network, "image_readers", None)
    readers = hook() if hook is not None else ()
    if not readers or not deployed.scales:
        return
    for conv in readers:
        conv.weight = nn.Parameter(conv.weight.detach() * deployed.scale)
    deployed.shift.div_(deployed.scale)
    deployed.scale.fill_(1)
    deployed.scales = False


def overshoot(deployed: Deployed, seen: Seen) -> None:
    """Let the network give a few pixels more than the mask needs, where it can (``overshoot``).

    Class maps whose sizes are powers of two all begin at the same place of a cache, so that argmax over classes evicts
    what it reads next: in onnxruntime three to four times the time (`benchmarks/deploy_steps.py`).
    """
    if not deployed.logits and callable(hook := getattr(deployed.network, "overshoot", None)):
        hook(seen)


STEPS: dict[str, Step] = {
    "pools": pools,
    **{name: partial(ask, hook) for name, hook in HOOKS.items()},
    "normalisation": normalisation,
    "overshoot": overshoot,
}
"""Steps for one size, in order; all come after `FOLDING`."""


def apply_steps(deployed: Deployed, without: Collection[str] = ()) -> None:
    """Take all steps, in place, but those named.

    Raises:
        InputError: no such step.
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
