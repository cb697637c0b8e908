"""The memory format of a network in training."""

import torch
from torch import nn

ONEDNN_BLOCK = 16
"""Block of input channels in oneDNN with AVX-512; half as many with AVX2."""


def memory_format_of(network: nn.Module, device: torch.device, channels_last: bool) -> torch.memory_format:
    """Choose channels last if asked for, unless it would give wrong gradients or a crash on a processor.

    oneDNN up to 3.14 (torch 2.13) writes beyond its memory in the weight gradient of a channels-last, strided 1x1 with
    fewer input channels than one block (oneDNN issue 6035; DFANet's first shortcut).
    """
    if not channels_last:
        return torch.preserve_format
    if device.type == "cpu" and any(map(_overruns, network.modules())):
        return torch.contiguous_format
    return torch.channels_last


def _overruns(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and max(module.stride) > 1
        and module.in_channels // module.groups < ONEDNN_BLOCK
    )
