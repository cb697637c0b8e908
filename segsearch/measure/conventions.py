"""Ways in which papers counted "FLOPs". One tally per network, one formula per convention.

Two numbers compare only within one convention. `segsearch.measure.cost` counts what this project means by macs; the
others exist to set a published figure beside the same count of our network.
"""

from collections.abc import Callable, Iterable

from torch import nn

from segsearch.errors import unknown
from segsearch.frozen import Frozen
from segsearch.measure.calls import Call, record_calls
from segsearch.measure.cost import CONVOLUTIONS, TRANSPOSED, macs_of
from segsearch.measure.elementwise import Elementwise

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_RELUS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU)
_POOLS = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)


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
    """Sums, products and pooled numbers outside of convolutions, see `measure.elementwise`."""


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
    """Whether a counter that hooks upsample modules would have seen this call.

    True for ``nn.Upsample``, and for a module of class ``Resize`` unless its attribute ``counted_as_module`` is False
    (the authors used the functional form there). A resize to the size it already has is none.
    """
    module = call.module
    hooked = type(module).__name__ == "Resize" and bool(getattr(module, "counted_as_module", True))
    return (hooked or isinstance(module, nn.Upsample)) and call.input_shape != call.output_shape


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


def count_by(network: nn.Module, size_hw: tuple[int, int], convention: str) -> int:
    """Count one image of (3, H, W) by a named convention.

    Raises:
        InputError: the convention is not in `CONVENTIONS`, or ``size_hw`` is not positive.
    """
    if convention not in CONVENTIONS:
        raise unknown("convention", convention, CONVENTIONS)
    return CONVENTIONS[convention](tally(network, size_hw))


def _is_conv(module: nn.Module) -> bool:
    return isinstance(module, (*CONVOLUTIONS, *TRANSPOSED))


def _outputs(calls: Iterable[Call]) -> int:
    return sum(call.output_elements for call in calls)
