"""Materials of surfaces: class, texture and emitted light."""

from dataclasses import dataclass
from random import Random

from segsearch.data.dataset import IGNORE
from segsearch.data.palette import CAMVID_CLASSES

Colour = tuple[float, float, float]
"""RGB, 0 .. 255, before light."""


@dataclass(frozen=True, slots=True)
class Material:
    """A kind of surface; ``grain`` is the strength of its texture noise, ``glow`` of its emitted light."""

    label: int
    grain: float = 0.04
    glow: float = 0.0
    ground: bool = False


def _of(name: str, grain: float, glow: float = 0.0, ground: bool = False) -> Material:
    return Material(CAMVID_CLASSES.index(name), grain, glow, ground)


SKY = _of("Sky", 0.0)
WALL, ROOF, GLASS = _of("Building", 0.10), _of("Building", 0.14), _of("Building", 0.05)
LIT_WINDOW = _of("Building", 0.02, glow=0.7)
METAL, LAMP = _of("Pole", 0.05), _of("Pole", 0.0, glow=1.0)
ASPHALT, MARKING = _of("Road", 0.16, ground=True), _of("Road", 0.12, ground=True)
PAVING, KERB = _of("Pavement", 0.12, ground=True), _of("Pavement", 0.08, ground=True)
GRASS = _of("Tree", 0.30, ground=True)
TRUNK, LEAVES = _of("Tree", 0.16), _of("Tree", 0.26)
SIGN, SIGNAL = _of("SignSymbol", 0.04), _of("SignSymbol", 0.0, glow=0.8)
FENCE = _of("Fence", 0.10)
BODY, CAR_GLASS, CAR_LIGHT = _of("Car", 0.04), _of("Car", 0.03), _of("Car", 0.0, glow=1.0)
CLOTH = _of("Pedestrian", 0.08)
RIDER = _of("Bicyclist", 0.08)
CLUTTER = Material(IGNORE, 0.08)


def shade(colour: Colour, factor: float) -> Colour:
    """Darken (below 1) or lighten (above 1) a colour."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; ``share`` is the part of the second."""
    rest = 1.0 - share
    return (
        first[0] * rest + second[0] * share,
        first[1] * rest + second[1] * share,
        first[2] * rest + second[2] * share,
    )


def vary(rng: Random, colour: Colour, amount: float) -> Colour:
    """Change a colour a little: mostly its lightness, slightly its hue."""
    light = rng.uniform(-amount, amount)
    red, green, blue = (c + light + rng.uniform(-amount, amount) * 0.35 for c in colour)
    return (red, green, blue)
