"""From the network that was trained to the one that is shipped: folded, frozen, one size, bytes in and bytes out."""

import copy
from collections.abc import Collection, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from segsearch.deployment.deployed import Deployed
from segsearch.deployment.folding import fold
from segsearch.deployment.parity import Masks
from segsearch.deployment.steps import apply_steps
from segsearch.errors import InputError

__all__ = ["MAX_CLASSES", "Deployed", "deploy", "fold", "network_masks"]

MAX_CLASSES = 256
"""A mask is one byte per pixel."""


def deploy(
    network: nn.Module,
    size_hw: tuple[int, int],
    mean: Sequence[float],
    std: Sequence[float],
    *,
    logits: bool = False,
    without: Collection[str] = (),
) -> Deployed:
    """Make the artefact's module: fold, fix every size to ``size_hw``, put normalisation and argmax inside, freeze.

    Args:
        network: images [B, 3, H, W] normalised -> logits [B, K, H, W]; has ``classes``. It is not touched.
        size_hw: image height and width in pixels.
        mean: per channel of RGB in 0..1, as in training.
        std: per channel of RGB in 0..1, as in training.
        logits: give logits [1, K, H, W] in place of the mask.
        without: steps of `segsearch.deployment.steps` to leave out, to see what each one gains.

    Raises:
        InputError: a size that is not positive, more than 256 classes, or no such step.
    """
    if min(size_hw) < 1:
        raise InputError("size_hw", f"height and width must be positive, got {size_hw[0]} x {size_hw[1]}")
    classes = int(cast(int, network.classes))
    if classes > MAX_CLASSES:
        raise InputError("classes", f"{classes} do not fit a mask of one byte per pixel", f"1 to {MAX_CLASSES}")
    deployed = Deployed(copy.deepcopy(network), size_hw, mean, std, logits).eval()
    with torch.no_grad(), torch.random.fork_rng([]):  # new modules draw weights before they are given theirs
        apply_steps(deployed, without)
    return deployed.eval().requires_grad_(False)


def network_masks(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> Masks:
    """Wrap the network as it was trained, unfolded, for a proof that shares no step with the artefact."""
    reference = copy.deepcopy(network).eval()
    device = next(reference.parameters()).device
    middle, width = (torch.tensor(tuple(v)).view(1, 3, 1, 1) for v in (mean, std))

    @torch.no_grad()
    def masks(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        pixels = torch.tensor(image).permute(2, 0, 1).unsqueeze(0) / 255
        logits: Tensor = reference(((pixels - middle) / width).to(device))
        return cast(npt.NDArray[np.uint8], logits.argmax(1)[0].to("cpu", torch.uint8).numpy())

    return masks
