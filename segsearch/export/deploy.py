"""From the network that was trained to the one that is shipped: folded, frozen, one size, bytes in and bytes out."""

import copy
from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils.fusion import fuse_conv_bn_eval

from segsearch.errors import InputError
from segsearch.export.parity import Masks
from segsearch.export.pools import fix_pools

MAX_CLASSES = 256
"""A mask is one byte per pixel."""


def fold(network: nn.Module) -> nn.Module:
    """Copy a network for deployment: each BatchNorm inside its convolution, no dropout, no auxiliary heads, eval mode.

    A module that has ``freeze_scalars`` turns its learnt numbers into constants there, as ESeg (section 3.2) asks;
    one that has ``fold_norms`` folds what is below it in its own way.

    The copy gives the same logits as ``network.eval()`` up to rounding; the given network is not touched.

    Raises:
        AssertionError: a BatchNorm that does not sit beside its convolution as ``conv`` and ``norm``.
    """
    folded = copy.deepcopy(network).eval()
    if hasattr(folded, "auxiliary"):
        folded.auxiliary = nn.ModuleList()
    for module in list(folded.modules()):
        if callable(own := getattr(module, "fold_norms", None)):
            own()  # before anything below it is looked at
        _fold_norm(module)
        _drop_dropout(module)
        if callable(freeze := getattr(module, "freeze_scalars", None)):
            freeze()
    left = [name for name, module in folded.named_modules() if isinstance(module, _BatchNorm)]
    assert not left, f"BatchNorm without a convolution of its own: {left}"
    return folded


def _fold_norm(module: nn.Module) -> None:
    conv, norm = getattr(module, "conv", None), getattr(module, "norm", None)
    if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, _BatchNorm):
        assert norm.running_mean is not None, "BatchNorm without running statistics cannot be folded"
        module.conv = fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose2d))
        module.norm = nn.Identity()


def _drop_dropout(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, _DropoutNd):
            module.add_module(name, nn.Identity())


class Deployed(nn.Module):
    """A folded network with normalisation before it and argmax after it, for images of one size.

    Attributes:
        size_hw: the only image size it takes, in pixels.
        mean, std: normalisation of RGB in 0..1 that its weights were trained with.
        classes: K, the number of classes.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, folded: nn.Module, size_hw: tuple[int, int], mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.network = folded
        self.size_hw = size_hw
        self.mean, self.std = tuple(mean), tuple(std)
        self.classes = int(cast(int, folded.classes))
        middle, width = torch.tensor(self.mean), torch.tensor(self.std)
        self.register_buffer("scale", (1 / (255 * width)).view(1, 3, 1, 1))
        self.register_buffer("shift", (-middle / width).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Segment an RGB image, uint8 [1, 3, H, W], into class indices, uint8 [1, H, W].

        Raises:
            InputError: the image has another size or is not uint8.
        """
        expected = (1, 3, *self.size_hw)
        if image.shape != expected or image.dtype != torch.uint8:
            given = f"{image.dtype} {tuple(image.shape)}".removeprefix("torch.")
            raise InputError("image", f"must be uint8 {expected}, got {given}")
        logits = self.network(image.to(self.scale.dtype) * self.scale + self.shift)
        return cast(Tensor, logits.argmax(1).to(torch.uint8))


def deploy(network: nn.Module, size_hw: tuple[int, int], mean: Sequence[float], std: Sequence[float]) -> Deployed:
    """Make the artefact's module: fold, fix every size to ``size_hw``, put normalisation and argmax inside, freeze.

    Args:
        network: images [B, 3, H, W] normalised -> logits [B, K, H, W]; has ``classes``. It is not touched.
        size_hw: image height and width in pixels.
        mean: per channel of RGB in 0..1, as in training.
        std: per channel of RGB in 0..1, as in training.

    Raises:
        InputError: a size that is not positive, or more than 256 classes.
    """
    if min(size_hw) < 1:
        raise InputError("size_hw", f"height and width must be positive, got {size_hw[0]} x {size_hw[1]}")
    classes = int(cast(int, network.classes))
    if classes > MAX_CLASSES:
        raise InputError("classes", f"{classes} do not fit a mask of one byte per pixel", f"1 to {MAX_CLASSES}")
    folded = fold(network).to("cpu", torch.float32)
    fix_pools(folded, torch.zeros(1, 3, *size_hw))
    return Deployed(folded, size_hw, mean, std).eval().requires_grad_(False)


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
