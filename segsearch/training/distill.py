"""Distillation: a network learns from the outputs of a trained one, its teacher, beside the labels."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segsearch.training.losses import resized
from segsearch.training.memory_format import memory_format_of


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A trained network, which is built where it teaches; plain data until then, so that other processes can have it.

    Attributes:
        sha256: of the file of its weights.
        build: gives the network, with its weights: images B, 3, H, W to logits B, K, H, W.
    """

    sha256: str
    build: Callable[[], nn.Module]

    def ready(self, device: torch.device, channels_last: bool) -> nn.Module:
        """Return the network on ``device``, in eval mode, with nothing in it to be learnt."""
        network = self.build().eval().requires_grad_(False)
        return network.to(device, memory_format=memory_format_of(network, device, channels_last))  # type: ignore[no-any-return, call-overload]


def distillation(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Mean over all pixels of the divergence KL(teacher, student) between their softened class probabilities.

    Pixels without a label count, too. The probabilities are softmax(logits / T), and the mean is scaled by T squared,
    so that the gradient's size does not depend on T (Hinton et al., arXiv 1503.02531, section 2; per pixel: Liu et al.,
    "Structured Knowledge Distillation", arXiv 1903.04197, section 3.1, with T = 1).

    Args:
        logits: of the network that learns, B, K, h, w.
        taught: of the teacher, B, K, H, W; the others are brought to its size bilinearly.
        temperature: T.
    """
    logits = resized(logits, taught.shape[-2:])
    learnt, wanted = ((each / temperature).log_softmax(1) for each in (logits, taught.float()))
    pixels = logits.numel() / logits.shape[1]
    return F.kl_div(learnt, wanted, reduction="sum", log_target=True) * (temperature**2 / pixels)
