"""The camera: exposure, colour cast, blur, vignette, noise and compression."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from segsearch.data.streets.scene import Sensor

Floats = NDArray[np.float32]


def expose(rgb: Floats, sensor: Sensor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn light (H, W, 3) into a photograph, uint8 (H, W, 3)."""
    height, width = rgb.shape[:2]
    rgb = rgb * (np.array(sensor.gains, np.float32) * sensor.exposure)
    rgb = (rgb - 0.45) * sensor.contrast + 0.45
    rows, columns = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    rgb *= (1.0 - 0.5 * sensor.vignette * (rows[:, None] ** 2 + columns[None, :] ** 2))[..., None]
    rgb = np.where(rgb > 0.8, 0.8 + 0.2 * np.tanh((rgb - 0.8) / 0.2), rgb)  # highlights roll off before they clip
    rgb += sensor.noise * rng.standard_normal(rgb.shape, np.float32)
    picture = Image.fromarray((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8))
    radius = sensor.blur / 1000 * math.hypot(height, width)
    if radius > 0.2:
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    return _compressed(picture, sensor.jpeg_quality)


def _compressed(picture: Image.Image, quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer).convert("RGB"))
