"""One forward pass without memory or arithmetic: which module was called on which shapes. Every counter reads this."""

import contextlib
import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from segsearch.errors import InputError


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
    image = torch.empty(batch, 3, *size_hw, device="meta", dtype=_floating_type(network))
    with noted_calls(ghost) as calls, torch.inference_mode():
        ghost(image)
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
    ghosts: dict[int, Any] = {id(p): nn.Parameter(_ghost(p), requires_grad=False) for p in network.parameters()}
    ghosts |= {id(b): _ghost(b) for b in network.buffers()}
    return copy.deepcopy(network, ghosts).eval()


def _ghost(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device="meta")


def _floating_type(network: nn.Module) -> torch.dtype:
    """Type of the image that the weights expect."""
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)


def _note(
    calls: list[Call], name: str, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: object
) -> None:
    first = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
    if first is not None and isinstance(output, Tensor):
        calls.append(Call(name=name, module=module, input_shape=tuple(first.shape), output_shape=tuple(output.shape)))
