"""The module that is shipped: normalisation, a network without training's parts, the mask."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from segsearch.errors import InputError


class Deployed(nn.Module):
    """A folded network with normalisation before it and argmax after it, for images of one size.

    Attributes:
        size_hw: the only image size it takes, in pixels.
        mean, std: normalisation of RGB in 0..1 that its weights were trained with.
        classes: K, the number of classes.
        logits: whether it returns logits in place of the mask.
        scales: whether it multiplies by ``scale``; False where the network's first weights have taken it over.
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
        height, width = self.size_hw
        # a network may give more than was asked for: see `segsearch.deployment.steps.overshoot`
        return logits.argmax(1)[:, :height, :width].to(torch.uint8)
