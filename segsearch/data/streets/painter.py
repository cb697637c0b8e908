"""Paints polygons from far to near and records for every pixel which polygon is visible there.

The canvas holds polygon numbers instead of colours. Colour, class, depth, texture and glow are looked up afterwards, so
that one drawing call gives both the picture and its exact label. Numbers increase from far to near.
"""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from segsearch.data.streets.camera import SUPER, Camera, Point3
from segsearch.data.streets.materials import SKY, Colour, Material
from segsearch.data.streets.scene import Light

Flat = Sequence[float]
"""Corners in drawing pixels: u, v, u, v, ..."""

_CIRCLE = tuple((math.cos(k * math.tau / 12), math.sin(k * math.tau / 12)) for k in range(12))


class Painter:
    """Canvas, shadow layer and the table of what was painted."""

    def __init__(self, camera: Camera, light: Light) -> None:
        height, width = camera.size_hw
        self.camera, self.light = camera, light
        self.canvas = Image.new("I", (width * SUPER, height * SUPER))
        self.regions = Image.new("I", self.canvas.size)
        self.shadows = Image.new("L", (width, height))
        self._draw, self._draw_region = ImageDraw.Draw(self.canvas), ImageDraw.Draw(self.regions)
        self._draw_shadow = ImageDraw.Draw(self.shadows)
        self.rows: list[tuple[Colour, Material, float]] = [((0.0, 0.0, 0.0), SKY, 1e4)]

    def polygon(self, corners: Flat, colour: Colour, material: Material, depth_m: float) -> None:
        """Paint one polygon given in drawing pixels."""
        self.rows.append((colour, material, depth_m))
        self._draw.polygon(corners, fill=len(self.rows) - 1)

    def line(self, corners: Flat, width_px: float, colour: Colour, material: Material, depth_m: float) -> None:
        """Paint a line, at least as thick as one pixel of the label."""
        self.rows.append((colour, material, depth_m))
        self._draw.line(corners, fill=len(self.rows) - 1, width=max(SUPER, round(width_px)))

    def region(self, corners: Flat, material: Material, depth_m: float) -> None:
        """Set the class of a see-through area (a mesh, a wheel) and leave the colours behind it visible."""
        self.rows.append(((0.0, 0.0, 0.0), material, depth_m))
        self._draw_region.polygon(corners, fill=len(self.rows) - 1)

    def surface(self, points: Sequence[Point3], colour: Colour, material: Material) -> None:
        """Paint one polygon given in metres."""
        self.polygon(self.camera.flat(points), colour, material, sum(p[2] for p in points) / len(points))

    def shadow(self, points: Sequence[tuple[float, float]], strength: float) -> None:
        """Darken the ground inside a polygon of (x, z)."""
        corners = [c / SUPER for x, z in points for c in self.camera.point(x, 0.0, z)]
        self._draw_shadow.polygon(corners, fill=round(255 * min(1.0, strength)))

    def cast(self, x: float, z: float, half_width: float, height: float, strength: float = 1.0) -> None:
        """Add the ground shadow of an upright thing, and the dark spot at its foot."""
        dx, dz = self.light.sun[0] * height, self.light.sun[1] * height
        if self.light.shadow > 0.05:
            far = ((x + dx + half_width, z + dz), (x + dx - half_width, z + dz))
            self.shadow(((x - half_width, z), (x + half_width, z), *far), self.light.shadow * strength)
        self.spot(x, z, half_width * 1.2, half_width * 1.2)

    def spot(self, x: float, z: float, half_width: float, half_length: float, strength: float = 0.5) -> None:
        """Darken an oval on the ground where a thing touches it (ambient occlusion)."""
        self.shadow([(x + half_width * c, z + half_length * s) for c, s in _CIRCLE], strength)

    def facing(self, normal_x: float, normal_z: float) -> float:
        """Brightness of a wall with this outward normal."""
        sx, sz = self.light.sun
        toward = -(normal_x * sx + normal_z * sz) / (math.hypot(sx, sz) + 1e-6)
        return 0.82 + self.light.sun_gain * (0.35 * max(0.0, toward) - 0.2 * max(0.0, -toward))

    def board(self, x: float, z: float) -> "Board":
        """Open an upright plane facing the camera, to draw on in metres from the foot point (x, z)."""
        return Board(self, x, z)


class Board:
    """An upright plane that faces the camera; points are (metres to the right, metres up)."""

    def __init__(self, painter: Painter, x: float, z: float) -> None:
        camera = painter.camera
        self.painter, self.depth_m = painter, z
        self.scale = camera.focal / z
        self._u, self._v = camera.point(x, 0.0, z)
        self._cos, self._sin = camera.cos * self.scale, camera.sin * self.scale

    def flat(self, points: Sequence[tuple[float, float]]) -> list[float]:
        """Corners in drawing pixels."""
        u, v, cos, sin = self._u, self._v, self._cos, self._sin
        return [c for x, y in points for c in (u + x * cos + y * sin, v + x * sin - y * cos)]

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour, material: Material) -> None:
        """Paint a polygon."""
        self.painter.polygon(self.flat(points), colour, material, self.depth_m)

    def disc(self, x: float, y: float, rx: float, ry: float, colour: Colour, material: Material) -> None:
        """Paint an ellipse."""
        self.polygon([(x + rx * c, y + ry * s) for c, s in _CIRCLE], colour, material)

    def ring(self, x: float, y: float, radius: float, thick: float, colour: Colour, material: Material) -> None:
        """Paint a circle's outline; its inside gets the class but no colour."""
        corners = self.flat([(x + radius * c, y + radius * s) for c, s in (*_CIRCLE, _CIRCLE[0])])
        self.painter.region(corners, material, self.depth_m)
        self.painter.line(corners, thick * self.scale, colour, material, self.depth_m)

    def limb(
        self,
        start: tuple[float, float],
        stop: tuple[float, float],
        widths: tuple[float, float],
        colour: Colour,
        material: Material,
    ) -> None:
        """Paint a bar from start to stop whose width changes from the first to the second."""
        dx, dy = stop[0] - start[0], stop[1] - start[1]
        length = math.hypot(dx, dy) or 1.0
        thin = SUPER / self.scale  # never thinner than one pixel of the label
        a, b = 0.5 * max(widths[0], thin) / length, 0.5 * max(widths[1], thin) / length
        corners = (
            (start[0] - dy * a, start[1] + dx * a),
            (start[0] + dy * a, start[1] - dx * a),
            (stop[0] + dy * b, stop[1] - dx * b),
            (stop[0] - dy * b, stop[1] + dx * b),
        )
        self.polygon(corners, colour, material)
