"""Modules that know a cheaper form of themselves for deployment, and the inputs that they are told for it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils.hooks import RemovableHandle

Seen = Callable[[nn.Module], Any]
"""Module to the tuple of its arguments, tensors on the meta device; None if it had no call, or unlike ones."""


def watch(network: nn.Module, example: Tensor) -> Seen:
    """Run ``example`` [B, 3, H, W] once and note what every module is given."""
    calls: dict[nn.Module, list[Any]] = {}

    def note(module: nn.Module, args: tuple[Any, ...]) -> None:
        calls.setdefault(module, []).append(pytree.tree_map(_emptied, args))

    handles: list[RemovableHandle] = [module.register_forward_pre_hook(note) for module in network.modules()]
    try:
        with torch.no_grad():
            network(example)
    finally:
        for handle in handles:
            handle.remove()
    once = {module: args[0] for module, args in calls.items() if len({_sizes(a) for a in args}) == 1}
    return once.get


def _emptied(value: object) -> object:
    return value.to("meta") if isinstance(value, Tensor) else value


def _sizes(args: object) -> str:
    return str(pytree.tree_map(lambda v: tuple(v.shape) if isinstance(v, Tensor) else v, args))


class Deployable(nn.Module):
    """A module with a cheaper form for deployment. Each method does nothing unless a class overrides it.

    A method changes the module in place, so that its output stays the same up to rounding with fewer or cheaper
    operations. ``seen`` gives the inputs of every module at this image size (see `watch`). The order in which they are
    called is that of `segsearch.deployment.steps`.
    """

    def fold_norms(self) -> None:
        """Fold the BatchNorms of modules below that are not named as `ConvNorm` names them."""

    def freeze_scalars(self) -> None:
        """Turn learnt scalars into constants."""

    def freeze_grid(self, seen: Seen) -> None:
        """Store what depends on the image size alone."""

    def split_expansion(self, seen: Seen) -> None:
        """Compute the parts of a map where each is needed, in place of slicing it."""

    def sum_branches(self, seen: Seen) -> None:
        """Add what branches give, in place of concatenating it."""

    def project_first(self, seen: Seen) -> None:
        """Apply a 1x1 before a resize, where that is less work."""

    def fold_mean(self, seen: Seen) -> None:
        """Fold a mean over channels into the 1x1 that follows it."""

    def merge_coarsely(self, seen: Seen) -> None:
        """Filter maps before they are resized, where that is less work."""

    def absorb_weights(self, seen: Seen) -> None:
        """Fold the factors of weighted sums into convolutions."""

    def image_readers(self) -> Sequence[nn.Conv2d]:
        """Return the convolutions that read the image, resized or not, and nothing else; none where not known."""
        return ()

    def coarse_logits(self, seen: Seen) -> tuple[tuple[int, int], bool] | None:
        """Tell height and width that the last resize is given, and whether it aligns corners; None where not known."""
        return None

    def leave_coarse(self) -> None:
        """Give logits without the last resize from now on, for which `coarse_logits` must know what it is given."""
