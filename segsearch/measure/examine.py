"""One look at a network before it is timed: whether it is fit for inference, and how much there is to do."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segsearch.errors import InputError
from segsearch.measure.calls import noted_calls
from segsearch.measure.cost import macs_of


@dataclass(frozen=True, kw_only=True)
class Work:
    """What no way of running a network on one example can avoid."""

    macs: int
    """Multiply-adds of convolutions and linear layers, of the very modules that are measured."""
    bytes: int
    """Parameters once, the image in and the result out."""


def refuse_unfit(network: nn.Module, example: Tensor) -> None:
    """Refuse what is no inference, without running it.

    Raises:
        InputError: a module in train mode, or an example that is no batch of images or asks for gradients.
    """
    training = [name or type(network).__name__ for name, module in network.named_modules() if module.training]
    if training:
        raise InputError("network", f"is in train mode at {training[0]}", "eval mode everywhere")
    if example.ndim != 4 or example.numel() == 0:
        raise InputError("example", f"shape {tuple(example.shape)} is not a batch of images", "(B, C, H, W)")
    if example.requires_grad:
        raise InputError("example", "asks for gradients", "a tensor without requires_grad")


def examine(network: nn.Module, example: Tensor) -> Work:
    """Run ``network`` once in inference mode, where both lie, and count.

    Raises:
        InputError: the network turns gradients on inside, so that every run would build a graph.
    """
    with noted_calls(network) as calls, torch.inference_mode():
        outputs = _tensors(network(example))
    if any(output.requires_grad for output in outputs):
        raise InputError("network", "builds an autograd graph in inference mode", "no enable_grad inside forward")
    moved = [*network.parameters(), example, *outputs]
    return Work(
        macs=sum(macs_of(call) for call in calls), bytes=sum(tensor.numel() * tensor.element_size() for tensor in moved)
    )


def _tensors(output: object) -> list[Tensor]:
    """All tensors in an output, however it is wrapped."""
    if isinstance(output, Tensor):
        return [output]
    inside = output.values() if isinstance(output, dict) else output if isinstance(output, list | tuple) else ()
    return [tensor for part in inside for tensor in _tensors(part)]
