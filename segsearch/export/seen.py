"""What each module of a network is given at one image size."""

from collections.abc import Callable
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
