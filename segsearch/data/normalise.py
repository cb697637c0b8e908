"""From bytes to what networks eat."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's mean and deviation, RGB in 0 .. 1: what pretrained encoders expect."""


def to_tensor(images: Tensor | NDArray[np.uint8]) -> Tensor:
    """Normalise uint8 (B, H, W, 3) to float32 (B, 3, H, W), on the device the images are on."""
    if not isinstance(images, Tensor):
        images = torch.from_numpy(images)
    mean = torch.tensor(MEAN, device=images.device) * 255
    scale = 1 / (torch.tensor(STD, device=images.device) * 255)
    return ((images.float() - mean) * scale).permute(0, 3, 1, 2).contiguous()
