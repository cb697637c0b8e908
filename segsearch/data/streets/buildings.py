"""Buildings along the street and across its end, and the skyline."""

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from segsearch.data.streets.camera import NEAR_M, Point3
from segsearch.data.streets.materials import GLASS, LEAVES, LIT_WINDOW, ROOF, WALL, Colour, mix, shade, vary
from segsearch.data.streets.painter import Painter
from segsearch.data.streets.scene import Thing

Doubles = NDArray[np.float64]

_WALLS = (
    (150, 92, 72), (128, 78, 62), (208, 196, 170), (214, 212, 206), (142, 140, 138), (104, 100, 96),
    (186, 164, 118), (168, 142, 124), (112, 126, 142), (176, 178, 160), (122, 112, 88), (200, 170, 150),
)  # fmt: skip
_ROOFS = ((96, 62, 52), (78, 76, 80), (112, 84, 66), (66, 64, 66), (120, 112, 104))
_SHOPS = ((126, 40, 40), (40, 66, 110), (46, 84, 60), (48, 48, 52), (190, 170, 110), (196, 196, 192))
_FRAMES = ((226, 226, 222), (90, 84, 78), (58, 56, 58), (176, 168, 150))


@dataclass(frozen=True, kw_only=True)
class Plane:
    """An upright wall: from a foot point along a direction of the ground, with its outward normal."""

    foot: tuple[float, float]
    along: tuple[float, float]
    normal: tuple[float, float]
    length: float
    height: float

    def point(self, s: float, y: float) -> Point3:
        """Return the point ``s`` metres along and ``y`` metres up."""
        return (self.foot[0] + self.along[0] * s, y, self.foot[1] + self.along[1] * s)

    def points(self, s: Doubles, y: Doubles) -> Doubles:
        """Points (..., 3) at many ``s`` and ``y``."""
        points = np.empty((*s.shape, 3))
        points[..., 0], points[..., 1] = self.foot[0] + self.along[0] * s, y
        points[..., 2] = self.foot[1] + self.along[1] * s
        return points


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a facade is made."""

    wall: Colour
    frame: Colour
    glass: Colour
    roof: Colour
    storey_m: float
    bay_m: float
    window: tuple[float, float]
    lit: float
    shop: Colour | None


def random_look(rng: Random, kind: str, dark: float) -> Look:
    """Sample the look of a facade for a kind of building."""
    wide = {"office": (0.55, 0.9), "works": (0.3, 0.6)}.get(kind, (0.32, 0.55))
    tall = {"office": (0.5, 0.7), "works": (0.2, 0.35)}.get(kind, (0.42, 0.62))
    shop_chance = {"terrace": 0.4, "office": 0.35}.get(kind, 0.0)
    return Look(
        wall=vary(rng, rng.choice(_WALLS), 16),
        frame=vary(rng, rng.choice(_FRAMES), 8),
        glass=vary(rng, rng.choice(((62, 72, 84), (44, 48, 54), (96, 112, 128), (80, 78, 74))), 8),
        roof=vary(rng, rng.choice(_ROOFS), 8),
        storey_m=rng.uniform(2.7, 3.6),
        bay_m=rng.uniform(1.9, 3.6),
        window=(rng.uniform(*wide), rng.uniform(*tall)),
        lit=0.6 * dark * rng.random(),
        shop=rng.choice(_SHOPS) if rng.random() < shop_chance else None,
    )


def draw_building(painter: Painter, thing: Thing) -> None:
    """Paint a building beside the street: roof, end wall towards the camera, facade towards the street."""
    rng = Random(thing.seed)
    look = random_look(rng, thing.kind, painter.light.dark)
    side, x, z, end = thing.side, thing.x, max(thing.z, NEAR_M), thing.end
    end_wall = Plane(foot=(x, z), along=(side, 0.0), normal=(0.0, -1.0), length=thing.width, height=thing.height)
    facade = Plane(foot=(x, z), along=(0.0, 1.0), normal=(-side, 0.0), length=end - z, height=thing.height)
    _roof(painter, rng, thing, look, z)
    if z > NEAR_M:
        draw_wall(painter, rng, end_wall, look, doors=False, windows=rng.random() < 0.4)
    draw_wall(painter, rng, facade, look, doors=True)
    if painter.light.shadow:
        reach = (painter.light.sun[0] * thing.height, painter.light.sun[1] * thing.height)
        if reach[0] * side < 0:
            painter.shadow(
                ((x, z), (x, end), (x + reach[0], end + reach[1]), (x + reach[0], z + reach[1])), painter.light.shadow
            )


def _roof(painter: Painter, rng: Random, thing: Thing, look: Look, z: float) -> None:
    side, x, end, top, deep = thing.side, thing.x, thing.end, thing.height, thing.width
    if thing.kind == "office" or rng.random() < (0.1 if thing.kind == "houses" else 0.45):
        cap = [(x, top, z), (x, top + 0.6, z), (x, top + 0.6, end), (x, top, end)]
        painter.surface(cap, shade(look.wall, 0.8), WALL)
        return
    ridge_x, ridge = x + side * 0.5 * deep, top + deep * rng.uniform(0.2, 0.42)
    over = x - side * 0.35
    if rng.random() < 0.6:
        _chimney(painter, rng, ridge_x, ridge, z + (end - z) * rng.random(), look)
    slope = [(over, top - 0.15, z), (over, top - 0.15, end), (ridge_x, ridge, end), (ridge_x, ridge, z)]
    if _area(painter.camera.flat(slope)) * side < 0:
        painter.surface(slope, shade(look.roof, painter.facing(-side * 0.7, 0.0)), ROOF)
    gable = [(x, top, z), (ridge_x, ridge, z), (x + side * deep, top, z)]
    painter.surface(gable, shade(look.wall, painter.facing(0.0, -1.0)), WALL)


def _chimney(painter: Painter, rng: Random, x: float, ridge: float, z: float, look: Look) -> None:
    if z < 6:
        return
    board = painter.board(x, z)
    colour = shade(look.wall, rng.uniform(0.6, 0.9))
    board.polygon([(-0.5, ridge - 1.0), (0.5, ridge - 1.0), (0.5, ridge + 0.9), (-0.5, ridge + 0.9)], colour, WALL)


def _area(corners: list[float]) -> float:
    """Signed area of a polygon u, v, u, v, ...: negative if its corners run anticlockwise in the picture."""
    u, v = corners[::2], corners[1::2]
    return sum(u[k - 1] * v[k] - u[k] * v[k - 1] for k in range(len(u)))


def draw_wall(painter: Painter, rng: Random, plane: Plane, look: Look, *, doors: bool, windows: bool = True) -> None:
    """Paint one wall with its storeys of windows and, at the street, a ground floor of doors or a shop."""
    light = painter.facing(*plane.normal)
    wall = shade(look.wall, light)
    _rectangle(painter, plane, (0.0, plane.length), (0.0, plane.height), wall)
    if doors:
        _rectangle(painter, plane, (0.0, plane.length), (0.0, 0.5), shade(wall, 0.82))
        if rng.random() < 0.4:
            _rectangle(painter, plane, (0.0, plane.length), (plane.height - 0.4, plane.height - 0.1), shade(wall, 1.12))
    first = 1 if doors and look.shop is not None else 0
    if first:
        _shop(painter, rng, plane, look, light)
    if windows:
        _windows(painter, rng, plane, look, light, first)
    if doors and not first:
        _door(painter, rng, plane, light)


def _rectangle(
    painter: Painter, plane: Plane, s: tuple[float, float], y: tuple[float, float], colour: Colour, lit: bool = False
) -> None:
    corners = [plane.point(s[0], y[0]), plane.point(s[1], y[0]), plane.point(s[1], y[1]), plane.point(s[0], y[1])]
    painter.surface(corners, colour, LIT_WINDOW if lit else WALL)


def _windows(painter: Painter, rng: Random, plane: Plane, look: Look, light: float, first: int) -> None:
    """Rows and columns of windows; those less than 1.5 drawing pixels wide are left out."""
    bays, storeys = max(1, int(plane.length / look.bay_m)), max(1, round(plane.height / look.storey_m))
    bay, storey = plane.length / bays, plane.height / storeys
    half, tall = 0.5 * look.window[0] * bay, look.window[1] * storey
    s = (np.arange(bays) + 0.5)[None, :] * bay + np.zeros((storeys - first, 1))
    y = (np.arange(first, storeys) + 0.3)[:, None] * storey + np.zeros((1, bays))
    around = _project_boxes(painter, plane, s.ravel(), y.ravel(), half + 0.1, tall + 0.1)
    inside = _project_boxes(painter, plane, s.ravel(), y.ravel(), half, tall)
    depths = np.maximum(plane.foot[1] + plane.along[1] * s.ravel(), NEAR_M).tolist()
    spans = np.abs(inside[:, 2, 0] - inside[:, 0, 0])
    frame = shade(look.frame, light)
    for outer, inner, depth, span in zip(
        around.reshape(-1, 8).tolist(), inside.reshape(-1, 8).tolist(), depths, spans, strict=True
    ):
        if span < 1.5:
            continue
        if span > 5:
            painter.polygon(outer, frame, WALL, depth)
        lit = rng.random() < look.lit
        glass = (238, 196, 120) if lit else shade(look.glass, rng.uniform(0.75, 1.35))
        painter.polygon(inner, glass, LIT_WINDOW if lit else GLASS, depth)
        if span > 14:
            middle = [0.5 * (inner[k] + inner[k + 2]) for k in (0, 1)] + [
                0.5 * (inner[k] + inner[(k + 2) % 8]) for k in (4, 5)
            ]
            painter.line(middle, 1, frame, WALL, depth)


def _project_boxes(painter: Painter, plane: Plane, s: Doubles, y: Doubles, half: float, tall: float) -> Doubles:
    """Project boxes around (s, y .. y + tall), (N, 4, 2)."""
    across = np.stack((s - half, s + half, s + half, s - half), axis=-1)
    upward = np.stack((y, y, y + tall, y + tall), axis=-1)
    return painter.camera.project(plane.points(np.clip(across, 0.0, plane.length), upward))


def _shop(painter: Painter, rng: Random, plane: Plane, look: Look, light: float) -> None:
    assert look.shop is not None
    lit = rng.random() < painter.light.dark
    glass = (232, 204, 150) if lit else shade(look.glass, 0.8)
    _rectangle(painter, plane, (0.2, plane.length - 0.2), (0.4, 2.5), glass, lit)
    _rectangle(painter, plane, (0.0, plane.length), (2.5, 3.2), shade(look.shop, light))
    count = max(1, round(plane.length / 2.5))
    for k in range(count + 1):
        s = plane.length * k / count
        _rectangle(
            painter, plane, (max(0.0, s - 0.12), min(plane.length, s + 0.12)), (0.0, 2.5), shade(look.shop, light * 0.8)
        )
    if rng.random() < 0.6:
        start = plane.length * rng.uniform(0.1, 0.3)
        pale = mix(look.shop, (235, 230, 215), 0.75)
        _rectangle(
            painter, plane, (start, start + plane.length * rng.uniform(0.3, 0.55)), (2.7, 3.0), shade(pale, light)
        )


def _door(painter: Painter, rng: Random, plane: Plane, light: float) -> None:
    s = plane.length * rng.uniform(0.1, 0.8)
    colour = vary(rng, rng.choice(((92, 40, 36), (44, 58, 84), (52, 74, 58), (60, 48, 40), (208, 206, 200))), 10)
    _rectangle(painter, plane, (s - 0.15, min(plane.length, s + 1.15)), (0.0, 2.35), shade((205, 202, 194), light))
    _rectangle(painter, plane, (s, min(plane.length, s + 1.0)), (0.0, 2.2), shade(colour, light))


def draw_crossing_house(painter: Painter, thing: Thing) -> None:
    """Paint a facade that faces the camera where the street ends."""
    rng = Random(thing.seed)
    plane = Plane(
        foot=(-0.5 * thing.width, thing.z),
        along=(1.0, 0.0),
        normal=(0.0, -1.0),
        length=thing.width,
        height=thing.height,
    )
    draw_wall(painter, rng, plane, random_look(rng, rng.choice(("terrace", "office")), painter.light.dark), doors=True)


def draw_skyline(painter: Painter, thing: Thing) -> None:
    """Paint the row of distant houses and woods on the horizon."""
    rng = Random(thing.seed)
    x, greens = -190.0, rng.random()
    while x < 190:
        width, height = rng.uniform(6, 26), rng.uniform(3, 15)
        if rng.random() < greens:
            tops = [(x + width * k / 6, 0.55 * height * rng.uniform(0.7, 1.2)) for k in range(7)]
            painter.board(0.0, thing.z).polygon([(x, 0), *tops, (x + width, 0)], vary(rng, (70, 88, 60), 14), LEAVES)
        else:
            tower = height * rng.choice((1, 1, 1, 2.2))
            corners = [(x, 0.0), (x, tower), (x + width, tower), (x + width, 0.0)]
            painter.board(0.0, thing.z).polygon(corners, shade(vary(rng, rng.choice(_WALLS), 16), 0.85), WALL)
        x += width * rng.uniform(0.6, 1.0)


def draw_garden_wall(painter: Painter, thing: Thing) -> None:
    """Paint a low wall of brick or stone along the pavement."""
    rng = Random(thing.seed)
    plane = Plane(
        foot=(thing.x, thing.z),
        along=(0.0, 1.0),
        normal=(-thing.side, 0.0),
        length=thing.end - thing.z,
        height=thing.height * 0.7,
    )
    colour = shade(vary(rng, rng.choice(_WALLS), 16), painter.facing(-thing.side, 0.0))
    _rectangle(painter, plane, (0.0, plane.length), (0.0, plane.height), colour)
    _rectangle(painter, plane, (0.0, plane.length), (plane.height - 0.1, plane.height), shade(colour, 1.15))
