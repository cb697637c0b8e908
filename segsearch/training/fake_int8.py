"""Training for int8: convolutions compute with what a quantised file would give them, in floating point."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

LEAST = 1e-12
"""Smallest scale: a channel of zeros has one, too."""


class FakeInt8(TorchFunctionMode):
    """Within this block convolutions round their input and their weights as int8 does, and gradients ignore it.

    The rounding is that of `segsearch.deployment.quantise`: activations unsigned, with the range between their least
    and greatest value, here of a batch; weights symmetric, with one scale per output channel. Such a scale makes no
    difference between a convolution and one with BatchNorm folded into it (Jacob et al., Quantization and Training of
    Neural Networks, section 3). The network itself is not changed.

    Args:
        exact: weights of convolutions that are left alone.
    """

    def __init__(self, exact: Collection[Tensor] = ()) -> None:
        super().__init__()
        self._exact = {id(weight) for weight in exact}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, a convolution with rounded arguments."""
        learnt = func is functional.conv2d and isinstance(args[1], nn.Parameter)  # images are blurred by others
        if learnt and id(args[1]) not in self._exact:
            features, weight, *rest = args
            args = (rounded(features), rounded_weights(weight), *rest)
        return func(*args, **(kwargs or {}))


def rounded(features: Tensor) -> Tensor:
    """Round activations of any shape to 256 steps from their least to their greatest value, of which one is 0."""
    least, greatest = torch.aminmax(features.detach().float())
    least, greatest = least.clamp(max=0.0), greatest.clamp(min=0.0)
    scale = ((greatest - least) / 255).clamp(min=LEAST)
    zero_point = (-least / scale).round().to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(features, scale, zero_point, 0, 255)


def rounded_weights(weight: Tensor) -> Tensor:
    """Round weights, O, I, H, W, to 255 steps on both sides of 0, for each output channel alone."""
    scale = (weight.detach().abs().amax((1, 2, 3)) / 127).clamp(min=LEAST)
    zero_points = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zero_points, 0, -127, 127)
