"""Parameters and multiply-adds of a network, whole and part by part.

One MAC is one multiply-add of a convolution or a linear layer; bias, normalisation, activation, pooling, resizing and
elementwise work are free. Counted are the modules ``nn.Conv*d``, ``nn.ConvTranspose*d`` and ``nn.Linear``; a matrix
product or a functional convolution written straight into a ``forward`` is not a module and is not seen.
"""

import contextlib
import copy
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from segsearch.errors import InputError
from segsearch.frozen import Frozen


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of one module in one forward pass; a module called twice gives two of these."""

    name: str
    """Dotted name inside the network, such as ``encoder.stem.conv``."""
    module: nn.Module
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    @property
    def input_elements(self) -> int:
        """Numbers in the first input tensor."""
        return math.prod(self.input_shape)

    @property
    def output_elements(self) -> int:
        """Numbers in the output tensor."""
        return math.prod(self.output_shape)


def record_calls(network: nn.Module, size_hw: tuple[int, int], batch: int = 1) -> tuple[Call, ...]:
    """Run ``network`` on an image of (B, 3, H, W) on the meta device and list its calls in order of completion.

    The run happens on a shadow whose tensors have a shape and no storage: the given network keeps its mode, device and
    hooks, and 1024x2048 costs no memory. Only calls from a tensor to a tensor are listed.

    Raises:
        InputError: ``size_hw`` or ``batch`` is not positive.
    """
    if min(*size_hw, batch) < 1:
        raise InputError(
            "size_hw", f"{batch} x {size_hw[0]} x {size_hw[1]} is not an image size", "whole numbers from 1"
        )
    ghost = shadow(network)
    floating = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
    with noted_calls(ghost) as calls, torch.inference_mode():
        ghost(torch.empty(batch, 3, *size_hw, device="meta", dtype=floating))
    return tuple(calls)


@contextlib.contextmanager
def noted_calls(network: nn.Module) -> Iterator[list[Call]]:
    """List the calls of ``network``'s modules from a tensor to a tensor while the block runs."""
    calls = list[Call]()
    hooks = [
        module.register_forward_hook(partial(_note, calls, name), with_kwargs=True)
        for name, module in network.named_modules()
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def shadow(network: nn.Module) -> nn.Module:
    """Copy ``network`` in eval mode with parameters and buffers on the meta device; shared tensors stay shared."""
    tensors = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    ghosts: dict[int, Any] = {key: torch.empty_like(tensor, device="meta") for key, tensor in tensors.items()}
    ghosts |= {id(p): nn.Parameter(ghosts[id(p)], requires_grad=False) for p in network.parameters()}
    ghost = copy.deepcopy(network, ghosts).eval()
    for module in ghost.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            # torch decomposes it in Python on the meta device, which takes as long as all else; its shapes are plain
            module.forward = torch.empty_like  # type: ignore[method-assign]
    return ghost


def _note(
    calls: list[Call], name: str, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: object
) -> None:
    first = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
    if first is not None and isinstance(output, Tensor):
        calls.append(Call(name=name, module=module, input_shape=tuple(first.shape), output_shape=tuple(output.shape)))


CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

PARTS = ("encoder", "levels", "context", "neck", "head", "auxiliary")
"""Children of a network that are listed even when they hold nothing."""
AUXILIARY = "auxiliary"
OWN = "own"
"""Name of the part for what hangs on the network itself instead of on a child."""


class PartCost(Frozen):
    """What one direct child of the network costs."""

    name: str
    params: int
    macs: int


class Cost(Frozen):
    """Counted cost of a deployed network; ``auxiliary`` heads exist in training only and stand apart.

    ``macs`` is for the whole batch. Over all parts, params sum to ``params + auxiliary_params`` and macs to ``macs``.
    """

    size_hw: tuple[int, int]
    batch: int
    params: int
    auxiliary_params: int
    macs: int
    parts: tuple[PartCost, ...]


def count(network: nn.Module, size_hw: tuple[int, int], batch: int = 1) -> Cost:
    """Count a network at an input of (B, 3, H, W), without running it on real numbers.

    A module called twice counts its macs twice and its params once; what two parts share belongs to the first that
    holds it, and to ``auxiliary`` last.

    Raises:
        InputError: ``size_hw`` or ``batch`` is not positive.
    """
    params, macs = _params_by_part(network), _macs_by_part(network, record_calls(network, size_hw, batch))
    names = [name for name, _ in network.named_children()] + [OWN]
    parts = [PartCost(name=name, params=params.get(name, 0), macs=macs.get(name, 0)) for name in names]
    return Cost(
        size_hw=size_hw,
        batch=batch,
        params=sum(part.params for part in parts if part.name != AUXILIARY),
        auxiliary_params=params.get(AUXILIARY, 0),
        macs=sum(part.macs for part in parts),
        parts=tuple(part for part in parts if part.params or part.macs or part.name in PARTS),
    )


def macs_of(call: Call) -> int:
    """Multiply-adds of one call; 0 for what is neither convolution nor linear."""
    module = call.module
    if isinstance(module, TRANSPOSED):  # every input number is spread over a kernel
        return call.input_elements * (module.out_channels // module.groups) * math.prod(module.kernel_size)
    if isinstance(module, CONVOLUTIONS):  # every output number gathers a kernel
        return call.output_elements * (module.in_channels // module.groups) * math.prod(module.kernel_size)
    return call.output_elements * module.in_features if isinstance(module, nn.Linear) else 0


def _macs_by_part(network: nn.Module, calls: Iterable[Call]) -> dict[str, int]:
    children = {name for name, _ in network.named_children()}
    macs: dict[str, int] = {}
    for call in calls:
        part = call.name.split(".", 1)[0]
        part = part if part in children else OWN
        macs[part] = macs.get(part, 0) + macs_of(call)
    return macs


def _params_by_part(network: nn.Module) -> dict[str, int]:
    children = dict(network.named_children())
    auxiliary = children.pop(AUXILIARY, nn.Identity())
    parts = {OWN: network.parameters(recurse=False)}
    parts |= {name: child.parameters() for name, child in children.items()} | {AUXILIARY: auxiliary.parameters()}
    owner = {parameter: name for name, own in reversed(parts.items()) for parameter in own}  # the first holder wins
    counts = dict.fromkeys(parts, 0)
    for parameter, name in owner.items():
        counts[name] += parameter.numel()
    return counts
