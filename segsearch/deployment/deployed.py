"""The module that is shipped: normalisation, a network without training's parts, the mask."""

import copy
from collections.abc import Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn

from segsearch.deployment.deployable import Deployable
from segsearch.deployment.masks import PlainMask, mask_of
from segsearch.errors import InputError


class Deployed(nn.Module):
    """A folded network with normalisation before it and argmax after it, for images of one size.

    Attributes:
        size_hw: the only image size it takes, in pixels.
        mean, std: normalisation of RGB in 0..1 that its weights were trained with.
        classes: K, the number of classes.
        logits: whether it returns logits in place of the mask.
        scales: whether it multiplies by ``scale``; False where the network's first weights have taken it over.
        coarse: height and width of the logits before their last resize, and whether that aligns corners; None where it
            is not known.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        network: nn.Module,
        size_hw: tuple[int, int],
        mean: Sequence[float],
        std: Sequence[float],
        logits: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.size_hw = size_hw
        self.mean, self.std = tuple(mean), tuple(std)
        self.classes = int(cast(int, network.classes))
        self.logits, self.scales = logits, True
        self.coarse: tuple[tuple[int, int], bool] | None = None
        self.mask: nn.Module = PlainMask()
        middle, width = torch.tensor(self.mean), torch.tensor(self.std)
        self.register_buffer("scale", (1 / (255 * width)).view(1, 3, 1, 1))
        self.register_buffer("shift", (-middle / width).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Segment an RGB image, uint8 [1, 3, H, W], into class indices, uint8 [1, H, W], or logits [1, K, H, W].

        Raises:
            InputError: the image has another size or is not uint8.
        """
        expected = (1, 3, *self.size_hw)
        if image.shape != expected or image.dtype != torch.uint8:
            given = f"{image.dtype} {tuple(image.shape)}".removeprefix("torch.")
            raise InputError("image", f"must be uint8 {expected}, got {given}")
        return self.segment(image)

    def segment(self, image: Tensor) -> Tensor:
        """Segment as `forward` does, but any number of images [B, 3, H, W] at once."""
        pixels = image.to(self.scale.dtype)
        if self.scales:
            pixels = pixels * self.scale
        logits: Tensor = self.network(pixels + self.shift)
        if self.logits:
            return logits
        mask: Tensor = self.mask(logits)
        return mask

    def fused(self) -> Self:
        """Copy it with the last resize and the argmax as one, which runtimes of exported files are quicker at.

        Compilers such as torch's join the two themselves. Where the last resize is not known, the copy is as it was.
        """
        fused = copy.deepcopy(self)
        if self.coarse is not None and isinstance(fused.network, Deployable):
            fused.network.leave_coarse()
            fused.mask = mask_of(self.coarse[0], self.size_hw, self.coarse[1]).to(self.scale)
        return fused
