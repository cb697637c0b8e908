"""Ways in which papers counted "FLOPs". One tally per network, one formula per convention.

Two numbers compare only within one convention. `segsearch.count.cost` counts what this project means by macs; the
others exist to set a published figure beside the same count of our network. Two widely used counters run beside ours,
so that their disagreement is on the table and not found out later.
"""

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from segsearch.count.cost import CONVOLUTIONS, TRANSPOSED, Call, macs_of, record_calls
from segsearch.errors import MissingExtraError
from segsearch.frozen import Frozen
from segsearch.quiet import quiet

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_RELUS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU)
_POOLS = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)


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


class Tally(Frozen):
    """Elementary counts of one forward pass in eval mode; auxiliary heads do not run and are not in it."""

    macs: int
    """Multiply-adds of convolutions and linear layers."""
    conv_bias: int
    """Output elements of convolutions that have a bias."""
    norm_elements: int
    """Output elements of BatchNorm layers; a folded network has none."""
    relu_elements: int
    """Output elements of ReLU, ReLU6, LeakyReLU, PReLU and ELU."""
    pool_input_elements: int
    """Input elements of max, average and adaptive pooling."""
    resize_output_elements: int
    """Output elements of resizes, see `counts_as_resize`."""
    elementwise: int
    """Sums, products and pooled numbers outside of convolutions, see `Elementwise`."""


def tally(network: nn.Module, size_hw: tuple[int, int], batch: int = 1) -> Tally:
    """Collect the elementary counts of a network at an input of (B, 3, H, W); the network is left as it was.

    Raises:
        InputError: ``size_hw`` or ``batch`` is not positive.
    """
    with Elementwise() as counter:
        calls = record_calls(network, size_hw, batch)
    return Tally(
        macs=sum(map(macs_of, calls)),
        conv_bias=_outputs(call for call in calls if _is_conv(call.module) and call.module.bias is not None),
        norm_elements=_outputs(call for call in calls if isinstance(call.module, _NORMS)),
        relu_elements=_outputs(call for call in calls if isinstance(call.module, _RELUS)),
        pool_input_elements=sum(call.input_elements for call in calls if isinstance(call.module, _POOLS)),
        resize_output_elements=_outputs(call for call in calls if counts_as_resize(call)),
        elementwise=counter.total,
    )


def counts_as_resize(call: Call) -> bool:
    """Whether a counter that hooks ``nn.Upsample`` would have counted this call; a resize to the same size is none."""
    return isinstance(call.module, nn.Upsample) and call.input_shape != call.output_shape


def macs(counts: Tally) -> int:
    """MAC: multiply-adds of conv and linear layers alone.

    Source: the plain count of DFANet (Tables 2-5) and, within 2 %, of ESeg (Tables 1, 2, 8), both printed as "FLOPs".
    This project's own unit.
    """
    return counts.macs


def ptflops(counts: Tally) -> int:
    """MAC + conv bias + 2 x BatchNorm + ReLU + pooling inputs + upsampled outputs.

    Source: the rule of the ptflops tool (module hooks; functional resizes count nothing). FPENet printed Tables 4 and
    7 by it as "FLOPs".
    """
    elementwise = 2 * counts.norm_elements + counts.relu_elements + counts.pool_input_elements
    return counts.macs + counts.conv_bias + elementwise + counts.resize_output_elements


def sfnet(counts: Tally) -> int:
    """2 x (MAC + conv bias) + 2 x BatchNorm + ReLU + pooling inputs; resizes, warps and sums are free.

    Source: fitted to SFNet (arXiv 2002.10120v1), whose "GFLOPs" in Tables 3, 4, 7, 8 and 9 it meets within 0.1 % for
    the ResNet and DF encoders. The authors' released counter is the same without the factor 2 on convolutions.
    """
    return (
        2 * (counts.macs + counts.conv_bias)
        + 2 * counts.norm_elements
        + counts.relu_elements
        + counts.pool_input_elements
    )


def tfprof(counts: Tally) -> int:
    """MAC + half of conv bias, sums, products and pooled numbers; BatchNorm, ReLU, sigmoid and resizes are free.

    Source: half of what TensorFlow's profiler calls float operations, the rule of EfficientDet's code, emulated.
    ESeg's "FLOPs" in Tables 1, 2, 4 and 8 meet it within 0.3 %, plain MACs only within 2 %.
    """
    return counts.macs + (counts.conv_bias + counts.elementwise) // 2


CONVENTIONS: dict[str, Callable[[Tally], int]] = {
    "macs": macs,
    "ptflops": ptflops,
    "sfnet": sfnet,
    "tfprof": tfprof,
}


def _is_conv(module: nn.Module) -> bool:
    return isinstance(module, (*CONVOLUTIONS, *TRANSPOSED))


def _outputs(calls: Iterable[Call]) -> int:
    return sum(call.output_elements for call in calls)


class OtherCount(Frozen):
    """What another counter says about the same network at the same size."""

    name: str
    version: str
    value: int
    counts_what: str


def others(network: nn.Module, size_hw: tuple[int, int]) -> list[OtherCount]:
    """Ask every counter of `COUNTERS` about one image of (3, H, W), on the CPU, on copies of the network in eval mode.

    Unlike `segsearch.count.cost.count` they run the network on real numbers: memory and time are those of an
    inference.

    Raises:
        MissingExtraError: the extra ``counters`` is not installed.
    """
    return [_ask(name, network, size_hw) for name in COUNTERS]


def fvcore(network: nn.Module, image: Tensor) -> int:
    """Count with the traced graph of fvcore's FlopCountAnalysis."""
    try:
        from fvcore.nn import FlopCountAnalysis
    except ImportError as error:
        raise MissingExtraError("fvcore", "counters") from error
    analysis = FlopCountAnalysis(network, image).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    total: float = analysis.tracer_warnings("none").total()
    return round(total)


def thop(network: nn.Module, image: Tensor) -> int:
    """Count with the module hooks of thop.profile."""
    try:
        from thop import profile
    except ImportError as error:
        raise MissingExtraError("thop", "counters") from error
    total: float = profile(network, (image,), verbose=False)[0]
    return round(total)


Counter = Callable[[nn.Module, Tensor], int]
COUNTERS: dict[str, tuple[Counter, str]] = {
    "fvcore": (
        fvcore,
        "Its 'flops' are multiply-adds of conv, linear and matrix products, plus 1 to 5 operations per element of "
        "BatchNorm, resizes, grid_sample and adaptive average pooling, functional ones too; scaled-dot-product "
        "attention counts 0.",
    ),
    "thop": (
        thop,
        "Its 'macs' are multiply-adds of conv and linear modules, plus operations per element of BatchNorm (4), "
        "average pooling and bilinear nn.Upsample modules (11); functional resizes, warps and matrix products count 0, "
        "transposed convolutions too much.",
    ),
}


def _ask(name: str, network: nn.Module, size_hw: tuple[int, int]) -> OtherCount:
    from importlib.metadata import PackageNotFoundError, version

    counter, counts_what = COUNTERS[name]
    # A copy, since thop leaves buffers behind. On the CPU, since fvcore cannot trace meta tensors.
    subject = copy.deepcopy(network).to("cpu").float().eval()
    with quiet(), torch.inference_mode():
        value = counter(subject, torch.zeros(1, 3, *size_hw))
    try:
        release = version(name)
    except PackageNotFoundError:  # vendored without its metadata
        release = "unknown"
    return OtherCount(name=name, version=release, value=value, counts_what=counts_what)
