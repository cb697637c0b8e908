"""Street furniture: lamps, masts, bollards, signs, traffic lights, fences, and clutter that has no class."""

import math
from random import Random

from segsearch.data.streets.camera import Point3
from segsearch.data.streets.materials import CLUTTER, FENCE, LAMP, METAL, SIGN, SIGNAL, Colour, shade, vary
from segsearch.data.streets.painter import Board, Painter
from segsearch.data.streets.scene import Thing

_METALS = ((96, 98, 100), (66, 70, 68), (130, 132, 132), (60, 76, 64), (112, 104, 94))
_BOARDS = ((110, 84, 60), (84, 96, 70), (134, 120, 100), (124, 126, 124), (86, 70, 58), (70, 88, 84))


def _metal(painter: Painter, rng: Random) -> Colour:
    return shade(vary(rng, rng.choice(_METALS), 8), painter.facing(0.0, -1.0))


def draw_lamp(painter: Painter, thing: Thing) -> None:
    """Paint a street light with its arm over the road."""
    rng = Random(thing.seed)
    board, colour, top, reach = painter.board(thing.x, thing.z), _metal(painter, rng), thing.height, -thing.side * 1.3
    board.limb((0.0, 0.0), (0.0, 1.1), (0.22, 0.18), colour, METAL)
    board.limb((0.0, 1.0), (0.0, top), (0.15, 0.09), colour, METAL)
    board.limb((0.0, top), (reach * 0.6, top + 0.35), (0.09, 0.08), colour, METAL)
    on = painter.light.dark > 0.3
    board.limb(
        (reach * 0.5, top + 0.33),
        (reach, top + 0.36),
        (0.2, 0.16),
        (255, 226, 160) if on else shade(colour, 0.8),
        LAMP if on else METAL,
    )
    painter.cast(thing.x, thing.z, 0.08, top)


def draw_mast(painter: Painter, thing: Thing) -> None:
    """Paint a plain mast of wood with a cross-beam."""
    rng = Random(thing.seed)
    board = painter.board(thing.x, thing.z)
    colour = shade(vary(rng, (104, 86, 70), 12), painter.facing(0.0, -1.0))
    board.limb((0.0, 0.0), (rng.gauss(0, 0.05), thing.height), (0.26, 0.18), colour, METAL)
    board.limb((-0.7, thing.height - 0.4), (0.7, thing.height - 0.4), (0.12, 0.12), colour, METAL)
    painter.cast(thing.x, thing.z, 0.1, thing.height)


def draw_bollard(painter: Painter, thing: Thing) -> None:
    """Paint a short post."""
    rng = Random(thing.seed)
    board = painter.board(thing.x, thing.z)
    board.limb((0.0, 0.0), (0.0, thing.height), (0.16, 0.13), _metal(painter, rng), METAL)
    board.limb((0.0, thing.height * 0.8), (0.0, thing.height * 0.9), (0.14, 0.14), (214, 210, 200), METAL)
    painter.cast(thing.x, thing.z, 0.08, thing.height)


def draw_sign(painter: Painter, thing: Thing) -> None:
    """Paint a traffic sign on its pole, from the front or from its grey back."""
    rng = Random(thing.seed)
    board, y = painter.board(thing.x, thing.z), thing.height
    board.limb((0.0, 0.0), (0.0, y + 0.3), (0.09, 0.09), _metal(painter, rng), METAL)
    for k in range(rng.choice((1, 1, 2))):
        _plate(board, rng, (0.0, y + 0.25 - 0.72 * k), rng.uniform(0.36, 0.52), painter.facing(0.0, -1.0))
    painter.cast(thing.x, thing.z, 0.06, y)


def _plate(board: Board, rng: Random, at: tuple[float, float], radius: float, light: float) -> None:
    corners, turn = rng.choice(
        ((12, 0.0), (12, 0.0), (3, math.pi / 2), (3, -math.pi / 2), (4, math.pi / 4), (4, 0.0), (8, math.pi / 8))
    )

    def outline(scale: float) -> list[tuple[float, float]]:
        angles = [turn + k * math.tau / corners for k in range(corners)]
        return [(at[0] + scale * radius * math.cos(t), at[1] + scale * radius * math.sin(t)) for t in angles]

    if rng.random() < 0.25:
        board.polygon(outline(1.0), shade((140, 142, 142), light * rng.uniform(0.7, 1.1)), SIGN)
        return
    rim, face, ink = rng.choice((
        ((186, 38, 36), (230, 228, 222), (40, 40, 42)),
        ((186, 38, 36), (196, 44, 40), (232, 230, 226)),
        ((226, 228, 228), (44, 84, 158), (230, 230, 230)),
        ((60, 56, 40), (226, 190, 60), (40, 38, 36)),
        ((44, 84, 158), (48, 90, 164), (226, 226, 226)),
    ))  # fmt: skip
    board.polygon(outline(1.0), shade(rim, light), SIGN)
    board.polygon(outline(0.78), shade(face, light), SIGN)
    half = radius * 0.3
    shape = rng.choice(((half, half * 0.4), (half * 0.4, half), (half * 0.6, half * 0.6)))
    x, y = at
    board.polygon(
        [
            (x - shape[0], y - shape[1]),
            (x + shape[0], y - shape[1]),
            (x + shape[0], y + shape[1]),
            (x - shape[0], y + shape[1]),
        ],
        shade(ink, light),
        SIGN,
    )


def draw_board(painter: Painter, thing: Thing) -> None:
    """Paint a large board on two poles: directions or an advertisement."""
    rng = Random(thing.seed)
    board, y, half, tall = painter.board(thing.x, thing.z), thing.height, rng.uniform(0.6, 1.3), rng.uniform(0.6, 1.3)
    colour, light = _metal(painter, rng), painter.facing(0.0, -1.0)
    for x in (-0.8 * half, 0.8 * half):
        board.limb((x, 0.0), (x, y), (0.09, 0.09), colour, METAL)
    face = vary(
        rng,
        rng.choice(((44, 84, 150), (46, 106, 74), (224, 222, 214), (196, 160, 60), (150, 52, 60), (120, 130, 140))),
        12,
    )
    board.polygon([(-half, y), (half, y), (half, y + tall), (-half, y + tall)], shade(face, light), SIGN)
    for k in range(rng.randint(1, 4)):
        line = y + tall * (0.18 + 0.2 * k)
        end = half * rng.uniform(0.1, 0.85)
        board.limb((-0.8 * half, line), (end, line), (0.1, 0.1), shade((236, 234, 228), light * 0.95), SIGN)
    painter.cast(thing.x, thing.z, half, y + tall)


def draw_signal(painter: Painter, thing: Thing) -> None:
    """Paint a traffic light; at most one of its three lamps is on."""
    rng = Random(thing.seed)
    board, y = painter.board(thing.x, thing.z), thing.height
    board.limb((0.0, 0.0), (0.0, y), (0.13, 0.11), _metal(painter, rng), METAL)
    board.polygon([(-0.2, y - 0.2), (0.2, y - 0.2), (0.2, y + 0.85), (-0.2, y + 0.85)], (34, 36, 36), SIGN)
    lit = rng.randint(0, 3)
    for k, colour in enumerate(((58, 214, 122), (246, 190, 60), (240, 62, 48))):
        on = k == lit
        board.disc(0.0, y + 0.33 * k, 0.12, 0.12, colour if on else shade(colour, 0.25), SIGNAL if on else SIGN)
    painter.cast(thing.x, thing.z, 0.15, y)


def draw_fence(painter: Painter, thing: Thing) -> None:
    """Paint a fence along the street: boards, railings, mesh or a crash barrier; gaps between bars get its class."""
    rng = Random(thing.seed)
    colour = vary(rng, rng.choice(_BOARDS), 12)
    light = painter.facing(-thing.side, 0.0)
    style = rng.choices(("boards", "railing", "mesh", "barrier"), (0.36, 0.32, 0.2, 0.12))[0]
    if style == "boards":
        _boards(painter, rng, thing, shade(colour, light))
    else:
        metal = shade(vary(rng, rng.choice(_METALS), 10), light)
        _see_through(painter, rng, thing, style, metal)
    painter.spot(thing.x, 0.5 * (thing.z + thing.end), 0.15, 0.5 * (thing.end - thing.z), 0.3)


def _stretch(thing: Thing, z: tuple[float, float], y: tuple[float, float]) -> list[Point3]:
    x = thing.x
    return [(x, y[0], z[0]), (x, y[0], z[1]), (x, y[1], z[1]), (x, y[1], z[0])]


def _boards(painter: Painter, rng: Random, thing: Thing, colour: Colour) -> None:
    step, z, tall = rng.choice((0.2, 0.3, 2.0)), thing.end, thing.height
    while z > max(thing.z, 1.2):
        start = max(thing.z, z - max(step, 0.035 * z))
        top = tall * (rng.uniform(0.95, 1.02) if step < 1 else 1.0)
        painter.surface(_stretch(thing, (start, z), (0.0, top)), shade(colour, rng.uniform(0.78, 1.12)), FENCE)
        z = start - 1e-6
    painter.surface(_stretch(thing, (max(1.2, thing.z), thing.end), (0.94 * tall, tall)), shade(colour, 1.1), FENCE)


def _see_through(painter: Painter, rng: Random, thing: Thing, style: str, colour: Colour) -> None:
    near, tall = max(thing.z, 1.2), thing.height * (1.0 if style != "mesh" else 1.4)
    low = 0.45 * tall if style == "barrier" else 0.0
    painter.region(
        painter.camera.flat(_stretch(thing, (near, thing.end), (low, tall))), FENCE, 0.5 * (near + thing.end)
    )
    if style == "barrier":
        painter.surface(_stretch(thing, (near, thing.end), (low, tall)), colour, FENCE)
        painter.surface(_stretch(thing, (near, thing.end), (0.6 * tall, 0.75 * tall)), shade(colour, 0.75), FENCE)
    for y in {"railing": (0.12, 0.97), "mesh": (0.02, 0.35, 0.65, 0.97), "barrier": ()}[style]:
        painter.surface(_stretch(thing, (near, thing.end), (y * tall, y * tall + 0.05)), colour, FENCE)
    step, z = {"railing": 0.22, "mesh": 2.2, "barrier": 2.0}[style], thing.end
    while z > near:
        u, v = painter.camera.point(thing.x, 0.0, z)
        u1, v1 = painter.camera.point(thing.x, tall, z)
        painter.line((u, v, u1, v1), 0.04 * painter.camera.focal / z, shade(colour, rng.uniform(0.85, 1.1)), FENCE, z)
        z -= max(step, 0.03 * z)


def draw_bin(painter: Painter, thing: Thing) -> None:
    """Paint a rubbish bin or a pile of bags (no class)."""
    rng = Random(thing.seed)
    board, tall = painter.board(thing.x, thing.z), rng.uniform(0.8, 1.15)
    colour = shade(
        vary(rng, rng.choice(((52, 74, 54), (60, 62, 66), (48, 62, 96), (120, 92, 50))), 10), painter.facing(0.0, -1.0)
    )
    board.polygon([(-0.24, 0.0), (0.24, 0.0), (0.3, tall), (-0.3, tall)], colour, CLUTTER)
    board.polygon([(-0.33, tall), (0.33, tall), (0.26, tall + 0.1), (-0.26, tall + 0.1)], shade(colour, 1.25), CLUTTER)
    painter.cast(thing.x, thing.z, 0.3, tall)


def draw_dog(painter: Painter, thing: Thing) -> None:
    """Paint a dog (no class)."""
    rng = Random(thing.seed)
    board, way = painter.board(thing.x, thing.z), rng.choice((-1.0, 1.0))
    colour = shade(vary(rng, rng.choice(((96, 72, 50), (40, 36, 34), (196, 180, 150))), 12), painter.facing(0.0, -1.0))
    for x in (-0.28, -0.2, 0.2, 0.28):
        board.limb((x, 0.0), (x * 0.9, 0.35), (0.06, 0.08), shade(colour, 0.85), CLUTTER)
    board.limb((-0.3, 0.42), (0.3, 0.45), (0.24, 0.26), colour, CLUTTER)
    board.disc(0.42 * way, 0.6, 0.14, 0.11, colour, CLUTTER)
    board.limb((-0.3 * way, 0.45), (-0.5 * way, 0.65), (0.06, 0.04), colour, CLUTTER)
    painter.cast(thing.x, thing.z, 0.35, 0.55)


def draw_cone(painter: Painter, thing: Thing) -> None:
    """Paint a traffic cone (no class)."""
    board = painter.board(thing.x, thing.z)
    board.polygon([(-0.2, 0.0), (0.2, 0.0), (0.03, 0.72), (-0.03, 0.72)], (216, 98, 44), CLUTTER)
    board.polygon([(-0.12, 0.3), (0.12, 0.3), (0.08, 0.45), (-0.08, 0.45)], (230, 228, 222), CLUTTER)
    painter.cast(thing.x, thing.z, 0.2, 0.7)


def draw_bench(painter: Painter, thing: Thing) -> None:
    """Paint a bench (no class)."""
    rng = Random(thing.seed)
    board, colour = painter.board(thing.x, thing.z), shade(vary(rng, (112, 84, 58), 14), painter.facing(0.0, -1.0))
    for x in (-0.7, 0.7):
        board.limb((x, 0.0), (x, 0.85), (0.1, 0.08), (52, 52, 54), CLUTTER)
    for y in (0.45, 0.65, 0.8):
        board.limb((-0.85, y), (0.85, y), (0.12, 0.12), colour, CLUTTER)
    painter.cast(thing.x, thing.z, 0.8, 0.8)


def draw_box(painter: Painter, thing: Thing) -> None:
    """Paint a switch cabinet or letter box (no class)."""
    rng = Random(thing.seed)
    board, half, tall = painter.board(thing.x, thing.z), rng.uniform(0.25, 0.6), rng.uniform(0.9, 1.4)
    colour = shade(
        vary(rng, rng.choice(((150, 40, 38), (104, 112, 100), (140, 140, 138), (196, 160, 60))), 12),
        painter.facing(0.0, -1.0),
    )
    board.polygon([(-half, 0.0), (half, 0.0), (half, tall), (-half, tall)], colour, CLUTTER)
    board.polygon([(-half, tall - 0.12), (half, tall - 0.12), (half, tall), (-half, tall)], shade(colour, 1.2), CLUTTER)
    painter.cast(thing.x, thing.z, half, tall)
