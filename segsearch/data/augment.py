"""Random views of training images: recoloured, mirrored, turned, scaled, shifted, cut; labels through the same grid."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from segsearch.data.dataset import IGNORE
from segsearch.data.normalise import MEAN, STD

SIGMA = (0.15, 1.3)
"""Range of the Gaussian blur in pixels."""
_TAPS = 4
"""Pixels to either side that the blur sees, three times the largest sigma."""
_GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a grey value (ITU-R BT.601)."""


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How images are varied; the fields mean what those of `segsearch.training.recipe.Recipe` mean that are called so.

    Images are mirrored, magnified by a factor in ``scale``, turned by up to ``rotate`` degrees, and cut to ``crop``
    (h, w) or left whole.
    """

    flip: bool = True
    scale: tuple[float, float] = (1.0, 1.0)
    crop: tuple[int, int] | None = None
    rotate: float = 0.0
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        assert 0 < self.scale[0] <= self.scale[1], self.scale
        assert self.crop is None or min(self.crop) > 0, self.crop


PLAIN = Augment(flip=False)
"""No change at all."""


def vary(image: Tensor, label: Tensor, settings: Augment, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Vary each image of a batch in its own way; colours first, so that outside an image the mean colour stays.

    Args:
        image: float (B, 3, H, W), normalised; outside of it 0, the mean colour, is seen.
        label: int64 (B, H, W); outside of it `IGNORE` is seen.
        settings: what may change.
        generator: on the CPU; the only source of chance.

    Returns:
        image (B, 3, h, w) sampled as ``interpolation`` says and label (B, h, w) sampled to the nearest, (h, w) the crop
        or (H, W).
    """
    size_hw = (int(image.shape[2]), int(image.shape[3]))
    out_hw = settings.crop or size_hw
    theta = _views(image.shape[0], size_hw, out_hw, settings, generator)
    image = _recoloured(image, settings, generator)
    if settings.scale == (1.0, 1.0) and out_hw == size_hw and not settings.rotate:
        return _mirror(image, label, theta[:, 0, 0] < 0)
    grid = F.affine_grid(theta.to(image.device), [image.shape[0], 1, *out_hw], align_corners=False)
    seen = F.grid_sample(image, grid, mode=settings.interpolation, padding_mode="zeros", align_corners=False)
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
    return _turned(theta, size_hw, settings.rotate, generator) if settings.rotate else theta


def _turned(theta: Tensor, size_hw: tuple[int, int], degrees: float, generator: torch.Generator) -> Tensor:
    """Turn each view about its own centre, by an equal number of degrees in pixels, which -1 .. 1 may stretch."""
    angle = math.radians(degrees) * (2 * torch.rand(len(theta), generator=generator) - 1)
    aspect = size_hw[1] / size_hw[0]
    turn = torch.stack([angle.cos(), -angle.sin() / aspect, angle.sin() * aspect, angle.cos()], 1).view(-1, 2, 2)
    return torch.cat([turn @ theta[:, :, :2], theta[:, :, 2:]], 2)


def _mirror(image: Tensor, label: Tensor, mirror: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror the chosen ones exactly, without sampling."""
    chosen = mirror.to(image.device)
    image = torch.where(chosen[:, None, None, None], image.flip(3), image)
    return image, torch.where(chosen[:, None, None], label.flip(2), label)


Recolour = Callable[[Tensor, float, torch.Generator], Tensor]
"""Images (B, 3, H, W) in 0 .. 1, the strength, and chance, to images that may leave 0 .. 1."""


def brightness(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Multiply all colours of an image by a factor of 1 - ``strength`` to 1 + ``strength``."""
    return image * _factors(image, strength, generator)


def contrast(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Multiply the distances from the image's mean grey."""
    mean = _grey(image).mean((1, 2, 3), keepdim=True)
    return mean + (image - mean) * _factors(image, strength, generator)


def saturation(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Multiply the distances from each pixel's own grey."""
    grey = _grey(image)
    return grey + (image - grey) * _factors(image, strength, generator)


def blur(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Blur an image with probability ``strength`` by a Gaussian whose width is drawn from `SIGMA`."""
    count, channels, height, width = image.shape
    sigma = SIGMA[0] + (SIGMA[1] - SIGMA[0]) * torch.rand(count, generator=generator)
    sigma = sigma.where(torch.rand(count, generator=generator) < strength, 1e-3)  # a single tap: no change
    kernel = torch.exp(-(torch.arange(-_TAPS, _TAPS + 1.0)[None] ** 2) / (2 * sigma[:, None] ** 2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).to(image.device).repeat_interleave(channels, 0)
    planes = F.pad(image.reshape(1, count * channels, height, width), (_TAPS,) * 4, mode="replicate")
    planes = F.conv2d(planes, kernel[:, None, :, None], groups=count * channels)
    return F.conv2d(planes, kernel[:, None, None, :], groups=count * channels).reshape(image.shape)


RECOLOURINGS: dict[str, Recolour] = {
    "brightness": brightness,
    "contrast": contrast,
    "saturation": saturation,
    "blur": blur,
}
"""By the field of `Augment` that gives the strength, in the order in which they are applied."""


def _recoloured(image: Tensor, settings: Augment, generator: torch.Generator) -> Tensor:
    """Apply to normalised images what works on colours of 0 .. 1, clipped after each change."""
    strengths = {name: getattr(settings, name) for name in RECOLOURINGS if getattr(settings, name)}
    if not strengths:
        return image
    mean, deviation = (torch.tensor(values, device=image.device).view(3, 1, 1) for values in (MEAN, STD))
    image = image * deviation + mean
    for name, strength in strengths.items():
        image = RECOLOURINGS[name](image, strength, generator).clamp(0, 1)
    return (image - mean) / deviation


def _grey(image: Tensor) -> Tensor:
    """Grey values (B, 1, H, W) of colours."""
    return (image * torch.tensor(_GREY, device=image.device).view(3, 1, 1)).sum(1, keepdim=True)


def _factors(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Draw a factor of 1 - ``strength`` to 1 + ``strength`` for each image (B, 1, 1, 1)."""
    drawn = 1 + strength * (2 * torch.rand(len(image), generator=generator) - 1)
    return drawn.to(image.device).view(-1, 1, 1, 1)
