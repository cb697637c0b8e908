"""Colours of classes, and label maps turned into pictures."""

import colorsys

import numpy as np
from numpy.typing import NDArray

from segsearch.data.dataset import IGNORE

Colour = tuple[int, int, int]

CAMVID_CLASSES = (
    "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist",
)  # fmt: skip
CAMVID_COLOURS: tuple[Colour, ...] = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)


def distinct(count: int) -> tuple[Colour, ...]:
    """Give ``count`` colours that differ well: golden-ratio steps in hue, alternating in lightness and strength."""
    made = []
    for k in range(count):
        hue, light, strength = (k * 0.618034) % 1.0, (0.5, 0.65, 0.35)[k % 3], (0.85, 0.6)[k % 2]
        red, green, blue = colorsys.hls_to_rgb(hue, light, strength)
        made.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(made)


def paint(label: NDArray[np.integer], colours: tuple[Colour, ...]) -> NDArray[np.uint8]:
    """Turn a label map (..., H, W) into RGB (..., H, W, 3); `IGNORE` becomes black."""
    table = np.zeros((IGNORE + 1, 3), np.uint8)
    table[: len(colours)] = colours
    painted: NDArray[np.uint8] = table[label]
    return painted


def blend(
    image: NDArray[np.uint8], label: NDArray[np.integer], colours: tuple[Colour, ...], strength: float = 0.5
) -> NDArray[np.uint8]:
    """Lay the colours of a label map (H, W) over its image (H, W, 3); pixels to ignore keep the image."""
    mixed = image * (1.0 - strength) + paint(label, colours) * strength
    return np.where((label == IGNORE)[..., None], image, mixed.round().astype(np.uint8))
