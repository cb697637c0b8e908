"""A pinhole camera over a flat ground whose street bends sideways."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segsearch.data.streets.scene import View

SUPER = 2
"""Supersampling: drawing pixels per picture pixel along each side."""
NEAR_M, FAR_M = 0.9, 230.0

Floats = NDArray[np.float32]
Point3 = tuple[float, float, float]
"""x, y, z in metres."""


class Camera:
    """Turns metres into drawing pixels: ``u`` right, ``v`` down, `SUPER` times the picture's size."""

    def __init__(self, view: View, size_hw: tuple[int, int]) -> None:
        height, width = size_hw[0] * SUPER, size_hw[1] * SUPER
        self.size_hw = size_hw
        self.height_m, self.bend = view.height_m, view.bend
        self.focal = view.zoom * math.sqrt(1.5 * height * width)
        self.u0, self.v0 = view.centre * width, view.horizon * height
        self.cos, self.sin = math.cos(view.roll), math.sin(view.roll)

    def point(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Project one point."""
        scale = self.focal / max(z, NEAR_M)
        a, b = (x + self.bend * z * z) * scale, (self.height_m - y) * scale
        return self.u0 + a * self.cos - b * self.sin, self.v0 + a * self.sin + b * self.cos

    def flat(self, points: Sequence[Point3]) -> list[float]:
        """Project a few points to u, v, u, v, ...; for polygons, plain Python is quicker than arrays."""
        focal, bend, height, cos, sin, u0, v0 = (
            self.focal,
            self.bend,
            self.height_m,
            self.cos,
            self.sin,
            self.u0,
            self.v0,
        )
        corners: list[float] = []
        for x, y, z in points:
            z = z if z > NEAR_M else NEAR_M
            scale = focal / z
            a, b = (x + bend * z * z) * scale, (height - y) * scale
            corners += (u0 + a * cos - b * sin, v0 + a * sin + b * cos)
        return corners

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Project many points (..., 3) to pixels (..., 2)."""
        z = np.maximum(points[..., 2], NEAR_M)
        scale = self.focal / z
        a, b = (points[..., 0] + self.bend * z * z) * scale, (self.height_m - points[..., 1]) * scale
        pixels = np.empty((*points.shape[:-1], 2))
        pixels[..., 0], pixels[..., 1] = self.u0 + a * self.cos - b * self.sin, self.v0 + a * self.sin + b * self.cos
        return pixels

    def ground(self) -> tuple[Floats, Floats]:
        """Return x and z (H, W) of the ground at every pixel of the picture; z is `FAR_M` above the horizon."""
        height, width = self.size_hw
        v, u = np.mgrid[0:height, 0:width].astype(np.float32) * SUPER + 0.5 * SUPER
        u, v = u - self.u0, v - self.v0
        a, b = u * self.cos + v * self.sin, v * self.cos - u * self.sin
        z = self.focal * self.height_m / np.maximum(b, self.focal * self.height_m / FAR_M)
        return (a * z / self.focal - self.bend * z * z).astype(np.float32), z.astype(np.float32)
