"""Arithmetic outside of convolutions, as a profiler of single operations sees it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Operation = Callable[[tuple[Any, ...], Tensor], int]


def _each(args: tuple[Any, ...], out: Tensor) -> int:
    """One per number of the result."""
    return out.numel()


def _read(args: tuple[Any, ...], out: Tensor) -> int:
    """One per number that is summed up."""
    return int(args[0].numel())


def _window(args: tuple[Any, ...], out: Tensor) -> int:
    """One per number under the kernel, for each number of the result."""
    return int(out.numel() * math.prod(args[1]))


OPERATIONS: Mapping[str, Operation] = {
    "aten.add.Tensor": _each,
    "aten.add_.Tensor": _each,
    "aten.mul.Tensor": _each,
    "aten.mul_.Tensor": _each,
    "aten.silu.default": _each,  # x times sigmoid(x); the sigmoid itself is free
    "aten.silu_.default": _each,
    "aten.hardswish.default": _each,
    "aten.hardswish_.default": _each,
    "aten.mean.dim": _read,
    "aten.adaptive_avg_pool2d.default": _read,
    "aten._adaptive_avg_pool2d.default": _read,
    "aten.avg_pool2d.default": _window,
    "aten.max_pool2d_with_indices.default": _window,
    "aten.max_pool2d.default": _window,
}
"""What counts, by torch's name of the operation. BatchNorm, ReLU, sigmoid, resizes and concatenation are free."""


class Elementwise(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its hooks untyped
    """While it is entered, ``total`` grows by what `OPERATIONS` says of each operation that runs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        operation = OPERATIONS.get(str(func))
        if operation is not None:
            out = result[0] if isinstance(result, tuple) else result
            # numbers without dimensions are learnt scalars, constants of the deployed network
            self.total += operation(args, out) if out.dim() else 0
        return result
