"""Pedestrians and cyclists, composed of limbs."""

import math
from random import Random

from segsearch.data.streets.materials import CLOTH, RIDER, Colour, Material, shade, vary
from segsearch.data.streets.painter import Board, Painter
from segsearch.data.streets.scene import Thing

_TOPS = (
    (44, 46, 54), (70, 66, 62), (112, 108, 104), (128, 44, 44), (52, 68, 104), (186, 178, 166), (92, 100, 62),
    (150, 120, 70), (200, 200, 198), (90, 56, 84), (196, 126, 60), (60, 90, 84),
)  # fmt: skip
_LEGS = ((40, 44, 58), (56, 64, 84), (46, 44, 44), (98, 90, 76), (120, 116, 112))
_SKINS = ((222, 180, 150), (196, 148, 118), (150, 104, 78), (96, 66, 50))
_HAIRS = ((46, 36, 30), (86, 62, 42), (150, 124, 84), (120, 116, 112), (30, 28, 28))
Point = tuple[float, float]


def draw_person(painter: Painter, thing: Thing) -> None:
    """Paint someone walking or standing; heading -1 .. 1 is how far they are turned to the side."""
    rng = Random(thing.seed)
    board, size = painter.board(thing.x, thing.z), thing.height / 1.75
    light = painter.facing(0.0, -1.0)
    top, legs = shade(vary(rng, rng.choice(_TOPS), 12), light), shade(vary(rng, rng.choice(_LEGS), 8), light)
    stride, turned = rng.uniform(0.02, 0.36) * size * abs(thing.heading), abs(thing.heading)
    hip, shoulder = 0.88 * size, 1.45 * size
    wide = (0.24 - 0.09 * turned) * size
    way = 1.0 if thing.heading > 0 else -1.0
    skin = shade(rng.choice(_SKINS), light)
    for sign, dark in ((-1, 0.8), (1, 1.0)):
        foot = (sign * (stride + 0.07 * size), 0.03)
        knee = (sign * (0.55 * stride + 0.075 * size) + way * 0.04 * turned, 0.47 * size)
        _chain(
            board,
            [(sign * 0.07 * size, hip), knee, foot],
            (0.17 * size, 0.13 * size, 0.09 * size),
            shade(legs, dark),
            CLOTH,
        )
        board.limb(
            foot, (foot[0] + way * 0.16 * size * turned + 0.01, 0.04), (0.09 * size, 0.07 * size), (34, 30, 30), CLOTH
        )
    hem = hip - (0.22 * size if rng.random() < 0.35 else 0.06 * size)
    _arm(board, rng, size, wide, -1, (shade(top, 0.85), skin))
    torso = [
        (-wide * 0.85, hem),
        (-wide, shoulder * 0.97),
        (-wide * 0.5, shoulder * 1.02),
        (wide * 0.5, shoulder * 1.02),
    ]
    board.polygon([*torso, (wide, shoulder * 0.97), (wide * 0.85, hem)], top, CLOTH)
    _arm(board, rng, size, wide, 1, (shade(top, 0.93), skin))
    _head(board, rng, (way * 0.03 * turned, 1.62 * size), 0.115 * size, skin, CLOTH)
    if rng.random() < 0.3:
        x = -way * wide * 0.9
        bag = vary(rng, rng.choice(_TOPS), 10)
        board.polygon(
            [(x - 0.13, hip + 0.1), (x + 0.13, hip + 0.1), (x + 0.12, shoulder - 0.1), (x - 0.1, shoulder - 0.1)],
            bag,
            CLOTH,
        )
    painter.cast(thing.x, thing.z, 0.22 * size, thing.height)


def _chain(board: Board, points: list[Point], widths: tuple[float, ...], colour: Colour, material: Material) -> None:
    for k in range(len(points) - 1):
        board.limb(points[k], points[k + 1], (widths[k], widths[k + 1]), colour, material)


def _arm(board: Board, rng: Random, size: float, wide: float, sign: int, colours: tuple[Colour, Colour]) -> None:
    swing = rng.gauss(0, 0.12) * size
    elbow = (sign * (wide + 0.05 * size) + swing * 0.5, 1.15 * size)
    hand = (sign * (wide + 0.04 * size) + swing, 0.86 * size + abs(swing))
    _chain(
        board,
        [(sign * wide * 0.9, 1.42 * size), elbow, hand],
        (0.11 * size, 0.1 * size, 0.08 * size),
        colours[0],
        CLOTH,
    )
    board.disc(hand[0], hand[1], 0.05 * size, 0.05 * size, colours[1], CLOTH)


def _head(board: Board, rng: Random, at: Point, radius: float, skin: Colour, material: Material) -> None:
    board.disc(at[0], at[1], radius * 0.85, radius * 1.15, skin, material)
    hair = vary(rng, rng.choice(_HAIRS), 6)
    cover = rng.choice((0.35, 0.35, 0.0, -0.4))  # a fringe, or seen from behind
    arc = [math.pi * k / 6 for k in range(7)]
    crown = [(at[0] + radius * 0.95 * math.cos(t), at[1] + radius * (0.3 + math.sin(t))) for t in arc]
    board.polygon(
        [*crown, (at[0] - radius * 0.9, at[1] + radius * cover), (at[0] + radius * 0.9, at[1] + radius * cover)],
        hair,
        material,
    )


def draw_cyclist(painter: Painter, thing: Thing) -> None:
    """Paint a cyclist: heading 0 rides along the street (seen from behind or in front), else across it."""
    rng = Random(thing.seed)
    board, size = painter.board(thing.x, thing.z), thing.height
    light = painter.facing(0.0, -1.0)
    top, legs = shade(vary(rng, rng.choice(_TOPS), 12), light), shade(vary(rng, rng.choice(_LEGS), 8), light)
    skin, frame = shade(rng.choice(_SKINS), light), vary(rng, rng.choice(_TOPS), 14)
    if thing.heading:
        _from_side(board, rng, size * (1 if thing.heading > 0 else -1), size, (top, legs, skin, frame))
    else:
        _from_behind(board, rng, size, (top, legs, skin, frame))
    painter.cast(thing.x, thing.z, 0.9 * size if thing.heading else 0.25 * size, 1.6 * size)


_Colours = tuple[Colour, Colour, Colour, Colour]


def _from_side(board: Board, rng: Random, way: float, size: float, colours: _Colours) -> None:
    """``way`` is the size, negative when riding to the left."""
    top, legs, skin, frame = colours
    wheel = 0.34 * size
    back, front, pedal = (-0.52 * way, wheel), (0.52 * way, wheel), (0.0, 0.3 * size)
    saddle, bars = (-0.2 * way, 0.92 * size), (0.42 * way, 1.02 * size)
    for x, y in (back, front):
        board.ring(x, y, wheel, 0.05, (30, 30, 32), RIDER)
    for a, b in (
        (back, pedal),
        (pedal, saddle),
        (saddle, back),
        (pedal, (0.36 * way, 0.8 * size)),
        (bars, front),
        (saddle, (0.38 * way, 0.85 * size)),
    ):
        board.limb(a, b, (0.045, 0.045), frame, RIDER)
    hip, shoulder = (-0.18 * way, 1.02 * size), (0.16 * way, 1.5 * size)
    lift = rng.uniform(-0.12, 0.12) * size
    for foot_y, dark in ((0.3 * size - lift, 0.75), (0.3 * size + lift, 1.0)):
        knee = (0.2 * way, 0.68 * size + (foot_y - 0.3 * size) * 0.5)
        _chain(
            board,
            [hip, knee, (0.04 * way, foot_y - 0.08 * size)],
            (0.19 * size, 0.14 * size, 0.1 * size),
            shade(legs, dark),
            RIDER,
        )
    board.limb(hip, shoulder, (0.26 * size, 0.32 * size), top, RIDER)
    _chain(
        board,
        [shoulder, (0.3 * way, 1.2 * size), bars],
        (0.12 * size, 0.1 * size, 0.08 * size),
        shade(top, 0.85),
        RIDER,
    )
    _helmet(board, rng, (0.26 * way, 1.68 * size), size, skin)


def _from_behind(board: Board, rng: Random, size: float, colours: _Colours) -> None:
    top, legs, skin, frame = colours
    board.limb((0.0, 0.0), (0.0, 0.68 * size), (0.06, 0.06), (28, 28, 30), RIDER)
    board.limb((-0.28 * size, 1.0 * size), (0.28 * size, 1.0 * size), (0.05, 0.05), frame, RIDER)
    lift = rng.uniform(-0.14, 0.14) * size
    for sign in (-1, 1):
        foot = (sign * 0.12 * size, 0.26 * size + sign * lift)
        _chain(
            board,
            [(sign * 0.08 * size, 0.98 * size), (sign * 0.15 * size, 0.62 * size + sign * lift * 0.5), foot],
            (0.18 * size, 0.14 * size, 0.1 * size),
            legs,
            RIDER,
        )
        _chain(
            board,
            [(sign * 0.2 * size, 1.42 * size), (sign * 0.3 * size, 1.18 * size), (sign * 0.25 * size, 1.0 * size)],
            (0.11 * size, 0.1 * size, 0.08 * size),
            shade(top, 0.85),
            RIDER,
        )
    corners = [(-0.16, 0.95), (-0.22, 1.4), (-0.12, 1.5), (0.12, 1.5), (0.22, 1.4), (0.16, 0.95)]
    board.polygon([(x * size, y * size) for x, y in corners], top, RIDER)
    _helmet(board, rng, (0.0, 1.64 * size), size, skin)


def _helmet(board: Board, rng: Random, at: Point, size: float, skin: Colour) -> None:
    if rng.random() < 0.35:
        _head(board, rng, at, 0.115 * size, skin, RIDER)
        return
    board.disc(at[0], at[1], 0.1 * size, 0.13 * size, skin, RIDER)
    arc = [math.pi * k / 6 for k in range(7)]
    board.polygon(
        [(at[0] + 0.13 * size * math.cos(t), at[1] + size * (0.02 + 0.14 * math.sin(t))) for t in arc],
        vary(rng, rng.choice(_TOPS), 20),
        RIDER,
    )
