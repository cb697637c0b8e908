"""Trees and hedges."""

import math
from functools import lru_cache
from random import Random

from segsearch.data.streets.materials import LEAVES, TRUNK, Colour, shade, vary
from segsearch.data.streets.painter import Board, Painter
from segsearch.data.streets.scene import Thing

_LEAVES = (
    (66, 98, 44),
    (54, 82, 44),
    (88, 112, 52),
    (44, 70, 46),
    (104, 112, 60),
    (142, 112, 50),
    (124, 84, 48),
    (82, 92, 74),
)
_BARKS = ((86, 68, 52), (98, 90, 80), (64, 54, 46), (118, 102, 84))


@lru_cache(maxsize=1)
def _blobs() -> tuple[tuple[tuple[float, float], ...], ...]:
    """24 irregular unit blobs that all foliage is made of."""
    rng = Random("foliage")
    shapes = []
    for _ in range(24):
        radii = [rng.uniform(0.55, 1.2) for _ in range(9)]
        shapes.append(
            tuple((r * math.cos(k * math.tau / 9), r * math.sin(k * math.tau / 9)) for k, r in enumerate(radii))
        )
    return tuple(shapes)


def draw_tree(painter: Painter, thing: Thing) -> None:
    """Paint trunk, boughs and crown: round, tall and narrow, or bare."""
    rng = Random(thing.seed)
    board = painter.board(thing.x, thing.z)
    kind = rng.choices(("round", "narrow", "bare"), (0.7, 0.17, 0.13))[0]
    bark = shade(vary(rng, rng.choice(_BARKS), 10), painter.facing(0.0, -1.0))
    lean, thick = rng.gauss(0, 0.03) * thing.height, 0.035 * thing.height + 0.06
    fork = thing.height * {"round": rng.uniform(0.3, 0.45), "narrow": 0.15, "bare": 0.35}[kind]
    board.limb((0.0, -0.02), (lean, fork * 1.25), (thick, thick * 0.65), bark, TRUNK)
    _boughs(board, rng, thing, (lean, fork), bark, depth=4 if kind == "bare" else 1)
    if kind != "bare":
        _crown(board, rng, thing, lean, fork, narrow=kind == "narrow")
    painter.cast(thing.x, thing.z, thing.width * (0.2 if kind == "bare" else 0.8), thing.height, 0.85)


def _boughs(board: Board, rng: Random, thing: Thing, start: tuple[float, float], bark: Colour, depth: int) -> None:
    """Paint boughs recursively; each ends in thinner ones."""
    tips = [(start, math.pi / 2, 0.28 * thing.height)]
    for level in range(depth):
        if tips[0][2] * board.scale < 3:
            return
        grown = []
        for (x, y), angle, length in tips:
            for _ in range(3 if level == 0 else 2):
                turn = angle + rng.gauss(0, 0.55)
                tip = (x + length * math.cos(turn), y + length * math.sin(turn))
                wide = 0.09 * length
                board.limb((x, y), tip, (wide, wide * 0.55), shade(bark, rng.uniform(0.8, 1.15)), TRUNK)
                grown.append((tip, turn, length * rng.uniform(0.55, 0.75)))
        tips = grown


def _crown(board: Board, rng: Random, thing: Thing, lean: float, fork: float, *, narrow: bool) -> None:
    """Paint blobs of leaves, dark ones at the bottom first, light ones at the top last."""
    colour = vary(rng, rng.choice(_LEAVES), 12)
    half_width, half_height = thing.width * (0.4 if narrow else 1.0), 0.5 * (thing.height - fork * 0.85)
    middle = thing.height - half_height
    count = int(min(110, 9 + thing.height * board.scale * 0.09))
    size = max(0.2, 0.52 - 0.006 * count)
    spots = []
    for _ in range(count):
        turn, away = rng.uniform(0, math.tau), math.sqrt(rng.random()) * 0.85
        spots.append((away * math.cos(turn), away * math.sin(turn), rng.uniform(0.6, 1.1) * size))
    spots.sort(key=lambda s: s[1] + 0.6 * rng.random())
    for dx, dy, radius in spots:
        light = 0.82 + 0.26 * dy + rng.uniform(-0.16, 0.16) + 0.08 * dx * (1 if board.painter.light.sun[0] < 0 else -1)
        taper = (1.0 - 0.5 * max(0.0, dy)) if narrow else 1.0
        centre = (lean + dx * half_width * taper, middle + dy * half_height)
        blob = rng.choice(_blobs())
        rx, ry = radius * half_width * 1.15 * taper, radius * half_height
        board.polygon([(centre[0] + rx * a, centre[1] + ry * b) for a, b in blob], shade(colour, light), LEAVES)


def draw_hedge(painter: Painter, thing: Thing) -> None:
    """Paint a clipped or wild hedge along the street."""
    rng = Random(thing.seed)
    colour = vary(rng, rng.choice(_LEAVES[:5]), 12)
    z, wild = thing.end, rng.uniform(0.02, 0.16)
    while z > max(thing.z, 1.6):
        board = painter.board(thing.x, z)
        deep, tall = 0.9, thing.height * rng.uniform(1 - wild, 1 + wild)
        out = thing.side * deep
        light = painter.facing(0.0, -1.0) * rng.uniform(0.8, 1.05)
        corners = [(-0.06 * thing.side, 0.0), (0.0, tall), (out * 0.5, tall * 1.04), (out, tall), (out, 0.0)]
        board.polygon(corners, shade(colour, light), LEAVES)
        blob, top = rng.choice(_blobs()), tall * rng.uniform(0.3, 0.95)
        board.polygon([(0.25 * a, top + 0.2 * b) for a, b in blob], shade(colour, light * 1.2), LEAVES)
        z -= max(0.3, 0.025 * z)
    painter.spot(thing.x, 0.5 * (thing.z + thing.end), 0.3, 0.5 * (thing.end - thing.z), 0.3)
