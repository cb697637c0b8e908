"""Two widely used counters run beside ours, so that their disagreement is on the table instead of in an issue."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from segsearch.errors import MissingExtraError
from segsearch.frozen import Frozen
from segsearch.quiet import quiet


class OtherCount(Frozen):
    """What another counter says about the same network at the same size."""

    name: str
    version: str
    value: int
    counts_what: str


def others(network: nn.Module, size_hw: tuple[int, int]) -> list[OtherCount]:
    """Ask every counter of `COUNTERS` about one image of (3, H, W), on the CPU, on copies of the network in eval mode.

    Unlike `segsearch.measure.cost.count` they run the network on real numbers: memory and time are those of an
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
