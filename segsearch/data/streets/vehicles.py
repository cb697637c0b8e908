"""Cars, vans, lorries and buses: a side outline extruded to a body, at any heading."""

import math
from collections.abc import Sequence
from random import Random

from segsearch.data.streets.camera import Point3
from segsearch.data.streets.materials import BODY, CAR_GLASS, CAR_LIGHT, Colour, Material, mix, shade, vary
from segsearch.data.streets.painter import Painter
from segsearch.data.streets.scene import Thing
from segsearch.data.streets.shapes import SHAPES, Shape

_PAINTS = (
    (58, 60, 64), (38, 40, 44), (148, 150, 152), (196, 198, 198), (228, 228, 224), (112, 116, 120), (86, 92, 100),
    (124, 34, 34), (40, 58, 104), (60, 82, 70), (96, 74, 58), (150, 120, 60), (62, 110, 150),
)  # fmt: skip
_GLASS = (46, 54, 62)
_TYRE = (26, 26, 28)


class _Body:
    """Places points of a vehicle in the street: l along (tail to nose), w across, y up, all in metres."""

    def __init__(self, painter: Painter, thing: Thing, shape: Shape) -> None:
        self.painter, self.shape = painter, shape
        self.length, self.width, self.height = shape.size_m
        self._cos, self._sin = math.cos(thing.heading), math.sin(thing.heading)
        self._x, self._z = thing.x, thing.z
        self.near = painter.camera.focal / thing.z > 9.0  # far away, details would be smaller than a pixel

    def place(self, points: Sequence[Point3]) -> list[Point3]:
        """Turn (l, w, y) into (x, y, z); heading 0 drives away from the camera."""
        half, cos, sin, x, z = 0.5 * self.length, self._cos, self._sin, self._x, self._z
        return [(x + w * cos + (a - half) * sin, y, z + (a - half) * cos - w * sin) for a, w, y in points]

    def inset(self, y: float) -> float:
        """Half width at a height: cabins lean inwards."""
        return 0.5 * self.width * (1.0 - 0.3 * max(0.0, y / self.height - 0.6) * (self.height < 2.0))

    def panel(self, points: list[Point3], colour: Colour, material: Material, light: float = 1.0) -> None:
        """Paint one panel."""
        self.painter.surface(self.place(points), shade(colour, light), material)

    def strip(self, k: int) -> list[Point3]:
        """Return the k-th strip of the outline, from side to side."""
        (l0, y0), (l1, y1) = self.shape.outline[k], self.shape.outline[k + 1]
        l0, l1, y0, y1 = l0 * self.length, l1 * self.length, y0 * self.height, y1 * self.height
        return [
            (l0, -self.inset(y0), y0),
            (l0, self.inset(y0), y0),
            (l1, self.inset(y1), y1),
            (l1, -self.inset(y1), y1),
        ]

    def sees(self, points: list[Point3]) -> tuple[bool, float]:
        """Whether a panel's outside faces the camera, and its depth."""
        placed = self.place(points)
        nx = ny = nz = 0.0
        for k, (x1, y1, z1) in enumerate(placed):  # Newell's normal, also right for concave outlines
            x0, y0, z0 = placed[k - 1]
            nx, ny, nz = nx + y0 * z1 - z0 * y1, ny + z0 * x1 - x0 * z1, nz + x0 * y1 - y0 * x1
        x, y, z = (sum(p[k] for p in placed) / len(placed) for k in range(3))
        camera = self.painter.camera
        return nx * (-camera.bend * z * z - x) + ny * (camera.height_m - y) - nz * z < 0, z


def draw_vehicle(painter: Painter, thing: Thing) -> None:
    """Paint a vehicle: shadow, then the panels that face the camera from far to near, each with its details."""
    rng = Random(thing.seed)
    shape = SHAPES[thing.kind]
    body = _Body(painter, thing, shape)
    paint = vary(rng, rng.choice(_PAINTS), 10)
    if thing.kind in ("van", "truck", "bus") and rng.random() < 0.5:
        paint = vary(rng, (222, 222, 218), 12)
    _underneath(body)
    strips = [(body.strip(k), k) for k in range(len(shape.outline) - 1)]
    jobs = [(body.sees(points), k) for points, k in strips]
    jobs += [(body.sees(_side(body, sign)), sign * 100) for sign in (-1, 1)]
    lights_on = rng.random() < 0.12 + painter.light.dark + (0.5 if painter.light.shadow == 0.0 else 0.0)
    glass = shade(vary(rng, _GLASS, 12), rng.uniform(0.8, 1.6))
    for (_, _), k in sorted((j for j in jobs if j[0][0]), key=lambda j: -j[0][1]):
        if abs(k) == 100:
            _draw_side(body, k // 100, paint, glass)
        else:
            _draw_strip(body, k, paint, glass, lights_on)


def _underneath(body: _Body) -> None:
    corners = [(0.02, -0.5), (0.98, -0.5), (0.98, 0.5), (0.02, 0.5)]
    spread = 1.12
    ground = body.place(
        [((a - 0.5) * spread * body.length + 0.5 * body.length, b * spread * body.width, 0.0) for a, b in corners]
    )
    feet = [(p[0], p[2]) for p in ground]
    light = body.painter.light
    if light.shadow:
        dx, dz = light.sun[0] * body.height * 0.8, light.sun[1] * body.height * 0.8
        moved = [(x + dx, z + dz) for x, z in feet]
        for k in range(4):
            body.painter.shadow((feet[k], feet[(k + 1) % 4], moved[(k + 1) % 4], moved[k]), light.shadow)
        body.painter.shadow(moved, light.shadow)
    body.painter.shadow(feet, 0.75)
    low = 0.16 * body.height
    for sign in (-1, 1):
        edge = sign * 0.42 * body.width
        body.panel(
            [
                (0.08 * body.length, edge, 0.03),
                (0.92 * body.length, edge, 0.03),
                (0.92 * body.length, edge, low),
                (0.08 * body.length, edge, low),
            ],
            (20, 20, 22),
            BODY,
        )


def _side(body: _Body, sign: int) -> list[Point3]:
    """Outline of one side, its corners in the order that makes its outside face outwards."""
    points = [(a * body.length, sign * body.inset(b * body.height), b * body.height) for a, b in body.shape.outline]
    return [points[0], points[-1], *points[-2:0:-1]] if sign > 0 else points


def _draw_side(body: _Body, sign: int, paint: Colour, glass: Colour) -> None:
    nx, nz = sign * body._cos, -sign * body._sin
    light = body.painter.facing(nx, nz) * 0.92
    body.panel(_side(body, sign), paint, BODY, light)
    sill = [(0.02, 0.15), (0.98, 0.15), (0.98, 0.3), (0.02, 0.3)]
    body.panel([(a * body.length, sign * body.inset(0.0), b * body.height) for a, b in sill], paint, BODY, light * 0.72)
    for window in body.shape.windows:
        body.panel(
            [(a * body.length, sign * body.inset(b * body.height), b * body.height) for a, b in window],
            glass,
            CAR_GLASS,
            light,
        )
    for at in body.shape.wheels if body.near else ():
        _wheel(body, at * body.length, sign)


def _wheel(body: _Body, at: float, sign: int) -> None:
    radius, edge = body.shape.wheel_m, sign * 0.5 * body.width
    for scale, colour in ((1.1, _TYRE), (0.6, (120, 122, 124))):
        turn = [k * math.tau / 10 for k in range(10)]
        body.panel(
            [(at + scale * radius * math.cos(t), edge, radius + scale * radius * math.sin(t)) for t in turn],
            colour,
            BODY,
        )


def _draw_strip(body: _Body, k: int, paint: Colour, glass: Colour, lights_on: bool) -> None:
    points = body.strip(k)
    (l0, _, y0), (l1, _, y1) = points[0], points[2]
    upright = abs(y1 - y0) > abs(l1 - l0)
    nose = 1.0 if l0 > 0.5 * body.length else -1.0
    light = (
        body.painter.facing(nose * body._sin, nose * body._cos)
        if upright
        else 1.02 + 0.12 * body.painter.light.sun_gain
    )
    if k in body.shape.glass:
        body.panel(points, paint, BODY, light * 0.9)
        inner = [(a, w * 0.9, y) for a, w, y in points]
        body.panel(inner, mix(glass, body.painter.light.sky_low, 0.18), CAR_GLASS)
    else:
        body.panel(points, paint, BODY, light)
    if k == 0 or k == len(body.shape.outline) - 2:
        _draw_end(body, nose > 0, paint, light, lights_on)


def _draw_end(body: _Body, nose: bool, paint: Colour, light: float, lights_on: bool) -> None:
    """Bumper, plate and lamps of the nose or the tail."""
    along, half, tall = body.length if nose else 0.0, 0.5 * body.width, body.height

    def box(w0: float, w1: float, y0: float, y1: float, colour: Colour, material: Material, factor: float) -> None:
        body.panel([(along, w0, y0), (along, w1, y0), (along, w1, y1), (along, w0, y1)], colour, material, factor)

    top = 0.40 if nose else 0.47
    box(-half, half, 0.15 * tall, 0.26 * tall, mix(paint, (36, 36, 38), 0.7), BODY, light)
    box(-0.26, 0.26, 0.24 * tall, 0.24 * tall + 0.12, (222, 218, 200) if nose else (214, 190, 80), BODY, light)
    if nose:
        box(-0.5 * half, 0.5 * half, 0.32 * tall, top * tall, (34, 34, 36), BODY, light)
    colour = (
        ((255, 248, 222) if lights_on else (206, 208, 206)) if nose else ((255, 44, 32) if lights_on else (150, 28, 26))
    )
    for sign in (-1, 1):
        outer, inner = sign * half * 0.96, sign * half * (0.6 if nose else 0.74)
        box(
            min(outer, inner),
            max(outer, inner),
            (top - 0.1) * tall,
            top * tall,
            colour,
            CAR_LIGHT if lights_on else BODY,
            1.0 if lights_on else light,
        )
