"""Random views of training images: mirrored, scaled, shifted, cut; image and label through the same grid."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from segsearch.data.dataset import IGNORE


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How images are varied: mirrored, magnified by a factor in ``scale``, cut to ``crop`` (h, w) or left whole."""

    flip: bool = True
    scale: tuple[float, float] = (1.0, 1.0)
    crop: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        assert 0 < self.scale[0] <= self.scale[1], self.scale
        assert self.crop is None or min(self.crop) > 0, self.crop


PLAIN = Augment(flip=False)
"""No change at all."""


def vary(image: Tensor, label: Tensor, settings: Augment, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Vary each image of a batch in its own way.

    Args:
        image: float (B, C, H, W), normalised; outside of it 0, the mean colour, is seen.
        label: int64 (B, H, W); outside of it `IGNORE` is seen.
        settings: what may change.
        generator: on the CPU; the only source of chance.

    Returns:
        image (B, C, h, w) sampled bilinearly and label (B, h, w) sampled to the nearest, (h, w) the crop or (H, W).
    """
    size_hw = (int(image.shape[2]), int(image.shape[3]))
    out_hw = settings.crop or size_hw
    theta = _views(image.shape[0], size_hw, out_hw, settings, generator)
    if settings.scale == (1.0, 1.0) and out_hw == size_hw:
        return _mirror(image, label, theta[:, 0, 0] < 0)
    grid = F.affine_grid(theta.to(image.device), [image.shape[0], 1, *out_hw], align_corners=False)
    seen = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    shifted = (
        (label - IGNORE).float().unsqueeze(1)
    )  # zeros beyond the border then mean IGNORE; whole numbers stay exact
    marked = F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return seen, marked.squeeze(1).round().long() + IGNORE


def _views(
    count: int, size_hw: tuple[int, int], out_hw: tuple[int, int], settings: Augment, generator: torch.Generator
) -> Tensor:
    """Draw maps (B, 2, 3) from places in the output to places in the image, both -1 .. 1."""
    low, high = settings.scale
    scale = low + (high - low) * torch.rand(count, generator=generator)
    spans = [out_hw[1] / (size_hw[1] * scale), out_hw[0] / (size_hw[0] * scale)]  # part of the image that is seen: x, y
    shifts = [(2 * torch.rand(count, generator=generator) - 1) * (1 - span).abs() for span in spans]
    mirror = torch.rand(count, generator=generator) < 0.5
    sign = torch.where(mirror & settings.flip, -1.0, 1.0)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = spans[0] * sign, shifts[0]
    theta[:, 1, 1], theta[:, 1, 2] = spans[1], shifts[1]
    return theta


def _mirror(image: Tensor, label: Tensor, mirror: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror the chosen ones exactly, without sampling."""
    chosen = mirror.to(image.device)
    image = torch.where(chosen[:, None, None, None], image.flip(3), image)
    return image, torch.where(chosen[:, None, None], label.flip(2), label)
