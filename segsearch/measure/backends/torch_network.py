"""A network as torch's own backends run it: copied into a precision and a layout, called with TF32 on or off."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from segsearch.measure.backends.base import Backend, Prepared
from segsearch.measure.backends.checks import check_ability, check_hardware

Call = Callable[[Tensor], Tensor]

_TYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


class TorchBackend:
    """What torch's own backends have in common.

    ``channels_last`` says how the weights lie; None: channels last in 16 bits, else as they are.
    """

    precisions: ClassVar[tuple[str, ...]] = tuple(_TYPES)
    takes_file: ClassVar[bool] = False

    def __init__(self, channels_last: bool | None = None) -> None:
        self.channels_last = channels_last

    def version(self) -> str:
        """Version of torch, with its build."""
        return str(torch.__version__)

    def check(self, device: torch.device, precision: str | None) -> None:
        """See `Backend`."""
        check_ability(cast(Backend, self), device.type, precision)
        check_hardware(device, precision)


@dataclass(frozen=True, kw_only=True)
class TorchNetwork:
    """What is run and on what.

    Attributes:
        network: in the asked precision and layout; the given one where nothing had to change.
        example: the example, of the type that ``network`` takes.
        precision: as asked; None leaves torch's switches alone.
    """

    network: nn.Module
    example: Tensor
    precision: str | None

    @property
    def facts(self) -> Mapping[str, str]:
        """Layout of the weights, where a backend chose it."""
        return {"layout": "channels_last"} if is_channels_last(self.network) else {}

    def guarded(self, call: Call) -> Call:
        """Wrap ``call`` so that each call runs with float32 meaning what ``precision`` says."""
        if self.example.device.type != "cuda" or self.precision not in ("float32", "tf32"):
            return call
        tf32 = self.precision == "tf32"

        def run(image: Tensor) -> Tensor:
            with float32_as(tf32):
                return call(image)

        return run

    def prepared(self, call: Call, extra: Mapping[str, str] | None = None) -> Prepared:
        """Put together what a backend returns, from the call that it made of ``network``."""
        example = self.example
        return Prepared(
            run=lambda: call(example),
            mask=lambda image: call(image.to(example.device, example.dtype)).cpu(),
            facts={**self.facts, **(extra or {})},
        )


def adapt(
    backend: Backend, network: nn.Module, example: Tensor, precision: str | None, channels_last: bool | None = None
) -> TorchNetwork:
    """Bring a copy of ``network`` into ``precision``.

    Args:
        backend: who asks.
        network: in eval mode; not changed.
        example: image (B, C, H, W); cast along where it holds floating-point numbers.
        precision: None leaves the weights as they are.
        channels_last: whether weights lie channels last; None means where ``precision`` has 16 bits, as its fast
            kernels want, and else as they are.

    Raises:
        InputError, DeviceError: see `check_ability` and `check_hardware`.
    """
    check_ability(backend, example.device.type, precision)
    check_hardware(example.device, precision)
    kind = None if precision is None else _TYPES[precision]
    if channels_last is None:
        channels_last = precision in ("float16", "bfloat16")
    if kind is not None and example.is_floating_point():
        example = example.to(kind)
    if not _fits(network, kind, channels_last):
        network = copy.deepcopy(network).to(dtype=kind)
        if channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TorchNetwork(network=network, example=example, precision=precision)


def _fits(network: nn.Module, kind: torch.dtype | None, channels_last: bool) -> bool:
    """Whether nothing has to change; a copy would only take memory."""
    tensors = (tensor for tensor in (*network.parameters(), *network.buffers()) if tensor.is_floating_point())
    return all(kind in (None, tensor.dtype) for tensor in tensors) and (not channels_last or is_channels_last(network))


def is_channels_last(network: nn.Module) -> bool:
    """Whether any weight lies channels last and in no other way."""
    weights = [p for p in network.parameters() if p.ndim == 4]
    return any(p.is_contiguous(memory_format=torch.channels_last) and not p.is_contiguous() for p in weights)


@contextlib.contextmanager
def float32_as(tf32: bool) -> Iterator[None]:
    """Let float32 products on the GPU run in TF32, or not, inside the block.

    All switches are set, old and new: torch refuses to tell where they differ.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    operations: tuple[Any, ...] = (cudnn.conv, cudnn.rnn, matmul)  # type: ignore[attr-defined]
    old, before = torch.get_float32_matmul_precision(), [op.fp32_precision for op in operations]
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    for operation in operations:
        operation.fp32_precision = "tf32" if tf32 else "ieee"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(old)
        for operation, value in zip(operations, before, strict=True):
            operation.fp32_precision = value
