"""The optimiser of a recipe: which parameters decay, and mixed precision."""

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn, optim

from segsearch.errors import DeviceError
from segsearch.training.recipe import Recipe


def make_optimizer(network: nn.Module, recipe: Recipe) -> optim.Optimizer:
    """One optimiser over two groups, with and without weight decay (see `parameter_groups`)."""
    groups = parameter_groups(network, recipe)
    if recipe.optimizer == "sgd":
        return optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    kind = optim.AdamW if recipe.optimizer == "adamw" else optim.Adam
    return kind(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999))


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Split the parameters into decayed ones and, unless `Recipe.decay_norm` is set, biases and normalisation weights.

    The latter are those of fewer than two dimensions; decaying only the others is "no bias decay" of "Bag of Tricks"
    (arXiv 1812.01187, sec. 3.1). A kind that is empty gives no group.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    decayed = [p for p in parameters if recipe.decay_norm or p.ndim >= 2]
    spared = [p for p in parameters if not recipe.decay_norm and p.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def set_learning_rate(optimizer: optim.Optimizer, rate: float) -> None:
    """Let every group learn at ``rate`` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """``none``, ``bf16`` or ``fp16`` on one device; fp16 brings its gradient scaler, which does nothing otherwise.

    Raises:
        DeviceError: fp16 on a device other than CUDA.
    """

    def __init__(self, amp: str, device: torch.device) -> None:
        if amp == "fp16" and device.type != "cuda":
            raise DeviceError(f"recipe.amp: 'fp16' needs a CUDA device, got {device.type} (allowed: none, bf16)")
        self._device, self._dtype = device.type, _DTYPES.get(amp)
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp == "fp16")

    def forward(self) -> AbstractContextManager[object]:
        """Context of the forward pass."""
        return torch.autocast(self._device, dtype=self._dtype, enabled=self._dtype is not None)
