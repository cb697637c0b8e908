"""Periodic tiles of noise, computed once."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 256
Floats = NDArray[np.float32]


@lru_cache(maxsize=8)
def tile(slope: float) -> Floats:
    """Noise (SIDE, SIDE) with mean 0 and deviation 1 whose amplitude falls as frequency**-slope: 0 grains, 2 clouds."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    frequency[0, 0] = 1.0
    white = np.fft.rfft2(np.random.default_rng(int(slope * 100) + 7).standard_normal((SIDE, SIDE)))
    made = np.fft.irfft2(white * frequency**-slope, s=(SIDE, SIDE))
    made -= made.mean()
    return np.asarray(made / made.std(), np.float32)


def look_up(slope: float, row: Floats, column: Floats) -> Floats:
    """Sample a tile at real positions, periodic, with bilinear interpolation."""
    r0, c0 = np.floor(row), np.floor(column)
    down, right = row - r0, column - c0
    flat, top, left = tile(slope).ravel(), r0.astype(np.int32), c0.astype(np.int32)
    upper, lower = (top & (SIDE - 1)) * SIDE, ((top + 1) & (SIDE - 1)) * SIDE
    near, far = left & (SIDE - 1), (left + 1) & (SIDE - 1)
    above = flat[upper + near] * (1 - right) + flat[upper + far] * right
    below = flat[lower + near] * (1 - right) + flat[lower + far] * right
    return np.asarray(above * (1 - down) + below * down, np.float32)


def sheet(slope: float, size_hw: tuple[int, int], rng: np.random.Generator, zoom: float = 1.0) -> Floats:
    """Cut (H, W) of noise at a random position; ``zoom`` above 1 makes it coarser."""
    top, left = (int(v) for v in rng.integers(0, SIDE, 2))
    height, width = size_hw
    rows, columns = np.arange(int(height / zoom) + 2) + top, np.arange(int(width / zoom) + 2) + left
    cut = tile(slope)[(rows & (SIDE - 1))[:, None], (columns & (SIDE - 1))[None, :]]
    if zoom == 1.0:
        return np.asarray(cut[:height, :width])
    box = (0.0, 0.0, width / zoom, height / zoom)
    return np.asarray(Image.fromarray(cut).resize((width, height), Image.Resampling.BILINEAR, box=box))
