"""The ground: road, lane markings, kerbs, verges, pavements, gardens, side roads."""

import math
from collections.abc import Sequence
from random import Random

from segsearch.data.streets.camera import FAR_M, NEAR_M
from segsearch.data.streets.materials import ASPHALT, GRASS, KERB, MARKING, PAVING, Colour, Material, shade, vary
from segsearch.data.streets.painter import Painter
from segsearch.data.streets.scene import Side, Street

_KNOTS = (0.9, 1.5, 2.5, 4.0, 6.0, 9.0, 13.0, 19.0, 27.0, 38.0, 54.0, 76.0, 108.0, 150.0, 230.0)
_ROADS = ((92, 92, 96), (108, 106, 104), (78, 80, 84), (122, 120, 118), (100, 94, 90))
_PAVINGS = ((156, 150, 144), (136, 134, 134), (170, 158, 142), (124, 118, 116), (158, 130, 116))
_GRASSES = ((84, 104, 54), (98, 106, 62), (70, 92, 50), (120, 116, 74))
_LINES = ((222, 222, 214), (196, 196, 190), (214, 190, 96))


def draw_ground(painter: Painter, street: Street) -> None:
    """Paint everything that lies flat."""
    rng = Random(street.seed)
    paving, road = vary(rng, rng.choice(_PAVINGS), 10), vary(rng, rng.choice(_ROADS), 10)
    grass = vary(rng, rng.choice(_GRASSES), 10)
    strip(painter, (-300.0, 300.0), (NEAR_M, FAR_M), paving, PAVING)
    for side in street.sides:
        _draw_side(painter, side, rng, (paving, road, grass))
    left, right = street.sides
    strip(painter, (left.kerb, right.kerb), (NEAR_M, FAR_M), road, ASPHALT)
    _patches(painter, street, rng, road)
    _markings(painter, street, rng)


def strip(
    painter: Painter, xs: tuple[float, float], zs: tuple[float, float], colour: Colour, material: Material
) -> None:
    """Paint a flat band along the street, following its bend."""
    knots = [zs[0], *(k for k in _KNOTS if zs[0] < k < zs[1]), zs[1]]
    edge = [(xs[0], 0.0, z) for z in knots] + [(xs[1], 0.0, z) for z in reversed(knots)]
    painter.surface(edge, colour, material)


def _draw_side(painter: Painter, side: Side, rng: Random, colours: tuple[Colour, Colour, Colour]) -> None:
    paving, road, grass = colours
    if side.line != side.walk and rng.random() < 0.7:
        strip(painter, (side.walk, side.line + side.sign * 40), (NEAR_M, FAR_M), grass, GRASS)
    if side.verge != side.kerb:
        strip(painter, (side.kerb, side.verge), (NEAR_M, FAR_M), grass, GRASS)
    strip(
        painter, (side.kerb, side.kerb + side.sign * 0.28), (NEAR_M, FAR_M), shade(paving, rng.uniform(0.85, 1.3)), KERB
    )
    for start, stop in side.side_roads:
        strip(painter, (side.kerb - side.sign, side.kerb + side.sign * 90), (start, stop), shade(road, 0.97), ASPHALT)


def _patches(painter: Painter, street: Street, rng: Random, road: Colour) -> None:
    """Paint patches, worn tracks, cracks and manhole covers."""
    left, right = street.sides[0].kerb, street.sides[1].kerb
    for offset in (-0.75, 0.75):
        strip(painter, (offset - 0.3, offset + 0.3), (NEAR_M, 60.0), shade(road, rng.uniform(0.9, 1.02)), ASPHALT)
    for _ in range(rng.randint(0, 6)):
        x, z = rng.uniform(left, right - 1), 2.5 + 30 * rng.random() ** 2
        wide = min(rng.uniform(0.5, 2.5), right - x)
        strip(painter, (x, x + wide), (z, z + rng.uniform(0.8, 6)), shade(road, rng.uniform(0.72, 1.18)), ASPHALT)
    for _ in range(rng.randint(0, 4)):
        x, z = rng.uniform(left + 0.5, right - 0.5), rng.uniform(3, 20)
        _blot(painter, x, z, rng.uniform(0.25, 0.4), shade(road, rng.uniform(0.5, 0.75)))
    for _ in range(rng.randint(0, 4)):
        _crack(painter, rng, (left, right), shade(road, 0.6))


def _blot(painter: Painter, x: float, z: float, radius: float, colour: Colour) -> None:
    turn = [k * math.tau / 10 for k in range(10)]
    painter.surface([(x + radius * math.cos(t), 0.0, z + radius * math.sin(t)) for t in turn], colour, ASPHALT)


def _crack(painter: Painter, rng: Random, xs: tuple[float, float], colour: Colour) -> None:
    x, z = rng.uniform(*xs), rng.uniform(2.5, 14)
    across, along = rng.choice(((0.5, 0.2), (0.08, 1.2)))
    for _ in range(rng.randint(3, 7)):
        nx, nz = x + rng.gauss(0, across), z + abs(rng.gauss(0, along)) + 0.05
        if min(x, nx) < xs[0] or max(x, nx) > xs[1]:
            return
        painter.surface([(x, 0, z), (nx, 0, nz), (nx + 0.05, 0, nz), (x + 0.05, 0, z)], colour, ASPHALT)
        x, z = nx, nz


def _markings(painter: Painter, street: Street, rng: Random) -> None:
    colour = shade(vary(rng, rng.choice(_LINES), 8), rng.uniform(0.75, 1.0))
    left, right = street.sides
    if street.cycle_lane:
        edge = (left if street.cycle_lane < 0 else right).kerb
        tinted = rng.choice(((128, 78, 66), (78, 104, 82)))
        strip(painter, tuple(sorted((edge, edge - street.cycle_lane * 1.5))), (NEAR_M, FAR_M), tinted, ASPHALT)  # type: ignore[arg-type]
    for lane in street.lanes:
        style = rng.choice(((2.0, 4.0), (4.0, 3.0), (300.0, 1.0), (0.0, 0.0)))
        _dashes(painter, lane, style, rng.uniform(0, 4), colour)
    for side in street.sides:
        if rng.random() < 0.4:
            _edge_lines(painter, side, rng, colour)
    if street.zebra_m is not None:
        _zebra(painter, (left.kerb, right.kerb), street.zebra_m, shade(colour, 1.05))
    if rng.random() < 0.2:
        _arrow(painter, rng.uniform(8, 22), colour)


def _edge_lines(painter: Painter, side: Side, rng: Random, colour: Colour) -> None:
    for inset in (0.25, 0.45)[: rng.randint(1, 2)]:
        x = side.kerb - side.sign * inset
        strip(painter, (x - 0.05, x + 0.05), (NEAR_M, 70.0), colour, MARKING)


def _dashes(painter: Painter, x: float, style: tuple[float, float], start: float, colour: Colour) -> None:
    length, gap = style
    z = NEAR_M + start * (length < 100)
    while length and z < 90:
        strip(painter, (x - 0.07, x + 0.07), (z, min(z + length, FAR_M)), colour, MARKING)
        z += length + gap


def _zebra(painter: Painter, xs: tuple[float, float], z: float, colour: Colour) -> None:
    for k in range(int(xs[1] - xs[0])):
        x = xs[0] + 0.3 + k
        strip(painter, (x, min(x + 0.5, xs[1])), (z, z + 3.0), colour, MARKING)
    strip(painter, xs, (z - 1.2, z - 0.9), shade(colour, 0.95), MARKING)


def _arrow(painter: Painter, z: float, colour: Colour) -> None:
    shape: Sequence[tuple[float, float]] = (
        (-0.08, 0), (0.08, 0), (0.08, 2.2), (0.35, 2.2), (0, 3.6), (-0.35, 2.2), (-0.08, 2.2),
    )  # fmt: skip
    painter.surface([(x, 0.0, z + dz) for x, dz in shape], colour, MARKING)
