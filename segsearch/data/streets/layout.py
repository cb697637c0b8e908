"""Samples a scene: which things stand where along a street. The same key always gives the same scene."""

import math
from collections.abc import Iterator
from random import Random

from segsearch.data.streets.atmosphere import random_light, random_sensor, random_weather
from segsearch.data.streets.scene import Scene, Side, Street, Thing, View

DEEP_M = 120.0
_STYLES = ("terrace", "terrace", "houses", "houses", "office", "park", "works")


def random_scene(key: str) -> Scene:
    """Sample the scene of a key such as ``0/train/17``."""
    rng = Random(f"streets/{key}")
    light = random_light(rng)
    drive = rng.choice((-1, 1))
    street = _street(rng, drive)
    things = [t for side in street.sides for t in _along(rng, street, side)]
    things += _traffic(rng, street, drive)
    things += _people(rng, street, drive)
    things.append(_thing(rng, "skyline", 0.0, DEEP_M + 40, order=1e3))
    if rng.random() < 0.35:
        things.append(
            _thing(
                rng, "crossing_house", 0.0, rng.uniform(70, 115), width=rng.uniform(30, 70), height=rng.uniform(8, 20)
            )
        )
    return Scene(
        view=_view(rng),
        street=street,
        things=tuple(sorted(things, key=lambda t: -t.order)),
        light=light,
        weather=random_weather(rng, light),
        sensor=random_sensor(rng, light),
        bonnet=rng.random() < 0.25,
        seed=rng.getrandbits(32),
    )


def _view(rng: Random) -> View:
    return View(
        height_m=rng.choice((1.25, 1.4, 1.6, 2.2)) + rng.uniform(-0.1, 0.1),
        horizon=rng.uniform(0.36, 0.54),
        centre=rng.uniform(0.36, 0.64),
        zoom=rng.uniform(0.72, 1.15),
        roll=rng.gauss(0, 0.012),
        bend=rng.choice((0.0, 1.0)) * rng.uniform(-0.0016, 0.0016),
    )


def _thing(
    rng: Random,
    kind: str,
    x: float,
    z: float,
    *,
    end: float | None = None,
    width: float = 0.0,
    height: float = 0.0,
    side: int = 1,
    heading: float = 0.0,
    order: float | None = None,
) -> Thing:
    end = z if end is None else end
    order = end if order is None else order
    seed = rng.getrandbits(32)
    return Thing(
        kind=kind, x=x, z=z, end=end, width=width, height=height, side=side, heading=heading, order=order, seed=seed
    )


def _street(rng: Random, drive: int) -> Street:
    """Sample the road for right-hand traffic and mirror it for left-hand traffic."""
    parking = (rng.random() < 0.5, rng.random() < 0.5)
    second = rng.random() < 0.25
    own = 1.6 + (3.2 if second else 0.0) + (2.3 if parking[0] else rng.uniform(0.2, 0.8))
    other = 1.6 + 3.2 + (2.3 if parking[1] else rng.uniform(0.2, 0.8))
    lanes = (-1.6 * drive, 1.6 * drive) if second else (-1.6 * drive,)
    edges = {drive: (own, parking[0]), -drive: (other, parking[1])}
    return Street(
        sides=(_side(rng, -1, *edges[-1]), _side(rng, 1, *edges[1])),
        lanes=lanes,
        zebra_m=rng.uniform(6, 28) if rng.random() < 0.3 else None,
        cycle_lane=drive if rng.random() < 0.15 else 0,
        seed=rng.getrandbits(32),
    )


def _side(rng: Random, sign: int, kerb: float, bay: bool) -> Side:
    verge = kerb + (rng.uniform(0.8, 2.0) if rng.random() < 0.25 else 0.0)
    walk = verge + rng.uniform(2.2, 5.5)
    line = walk + (rng.uniform(2.0, 6.0) if rng.random() < 0.45 else 0.0)
    roads = []
    if rng.random() < 0.45:
        start = rng.uniform(9, 45)
        roads.append((start, start + rng.uniform(6, 10)))
    return Side(
        sign=sign,
        kerb=sign * kerb,
        verge=sign * verge,
        walk=sign * walk,
        line=sign * line,
        bay=bay,
        side_roads=tuple(roads),
    )


def _along(rng: Random, street: Street, side: Side) -> Iterator[Thing]:
    yield from _plots(rng, side)
    if abs(side.line) - abs(side.walk) > 1.0:
        yield from _garden_edges(rng, side)
    yield from _row_of_trees(rng, side)
    yield from _lamps(rng, side)
    yield from _signs(rng, street, side)
    yield from _clutter(rng, side)
    yield from _parked(rng, side)
    if rng.random() < 0.3:
        start = rng.uniform(4, 20)
        end = start + rng.uniform(8, 25)
        yield _thing(
            rng, "fence", side.kerb + side.sign * 0.35, start, end=end, height=rng.uniform(0.8, 1.1), side=side.sign
        )


def _plots(rng: Random, side: Side) -> Iterator[Thing]:
    style, z = rng.choice(_STYLES), 0.9
    while z < DEEP_M:
        gap = next((road for road in side.side_roads if road[0] - 3 < z < road[1]), None)
        if gap is not None:
            z = gap[1] + 0.5
            continue
        style = rng.choice(_STYLES) if rng.random() < 0.2 else style
        length = rng.uniform(
            *{"terrace": (5, 9), "houses": (8, 13), "office": (16, 34), "park": (10, 22), "works": (14, 26)}[style]
        )
        stop = min([z + length, *(road[0] for road in side.side_roads if road[0] > z)])
        yield from _plot(rng, side, style, z, stop)
        z = stop + {"terrace": 0.0, "houses": rng.uniform(0.5, 5.0)}.get(style, rng.choice((0.0, rng.uniform(1, 4))))


def _plot(rng: Random, side: Side, style: str, z: float, end: float) -> Iterator[Thing]:
    sign, line = side.sign, side.line
    if style == "park":
        for _ in range(round((end - z) / 3.5)):
            yield _tree(rng, line + sign * rng.uniform(1, 14), rng.uniform(z, end), rng.uniform(4, 13), sign)
        kind = "hedge" if rng.random() < 0.35 else "fence"
        yield _thing(rng, kind, line, z, end=end, height=rng.uniform(1.0, 2.0), side=sign, order=end)
        return
    heights = {"terrace": (6, 13), "houses": (4.5, 8), "office": (10, 30), "works": (4, 8)}[style]
    yield _thing(rng, style, line, z, end=end, width=rng.uniform(7, 14), height=rng.uniform(*heights), side=sign)
    if rng.random() < 0.4:
        yield _tree(rng, line + sign * rng.uniform(3, 12), end + 1.5, rng.uniform(6, 13), sign)


def _garden_edges(rng: Random, side: Side) -> Iterator[Thing]:
    z = rng.uniform(0.9, 6)
    while z < 70:
        end = z + rng.uniform(5, 16)
        kind = rng.choice(("fence", "fence", "fence", "hedge", "wall", ""))
        cut = any(road[0] - 0.5 < end and z < road[1] + 0.5 for road in side.side_roads)
        if kind and not cut:
            yield _thing(rng, kind, side.walk, z, end=end, height=rng.uniform(0.8, 1.9), side=side.sign)
        if rng.random() < 0.35:
            yield _tree(rng, 0.5 * (side.walk + side.line), rng.uniform(z, end) + 3, rng.uniform(2.5, 6), side.sign)
        z = end + rng.uniform(0.2, 4)


def _tree(rng: Random, x: float, z: float, height: float, sign: int) -> Thing:
    return _thing(rng, "tree", x, max(3.0, z), height=height, width=height * rng.uniform(0.26, 0.5), side=sign)


def _row_of_trees(rng: Random, side: Side) -> Iterator[Thing]:
    if rng.random() > 0.42:
        return
    z, step, height = rng.uniform(5, 14), rng.uniform(7, 15), rng.uniform(4, 11)
    x = side.kerb + side.sign * 0.8
    while z < 85:
        if rng.random() < 0.85:
            yield _tree(rng, x + rng.gauss(0, 0.1), z, height * rng.uniform(0.75, 1.2), side.sign)
        z += step * rng.uniform(0.8, 1.2)


def _lamps(rng: Random, side: Side) -> Iterator[Thing]:
    x, height = side.kerb + side.sign * rng.uniform(0.3, 0.7), rng.uniform(4.5, 9)
    if rng.random() < 0.7:
        z, step, seed_kind = rng.uniform(5, 18), rng.uniform(15, 28), rng.choice(("lamp", "lamp", "mast"))
        while z < 95:
            yield _thing(rng, seed_kind, x, z, height=height, side=side.sign)
            z += step
    if rng.random() < 0.22:
        for k in range(rng.randint(3, 8)):
            yield _thing(rng, "bollard", x, 5.0 + 2.0 * k + rng.uniform(0, 0.3), height=0.95, side=side.sign)


def _signs(rng: Random, street: Street, side: Side) -> Iterator[Thing]:
    for _ in range(rng.choice((0, 1, 2, 2, 3))):
        x = side.kerb + side.sign * rng.uniform(0.3, 1.0)
        kind = rng.choice(("sign", "sign", "sign", "signal", "board"))
        yield _thing(rng, kind, x, 4.5 + 34 * rng.random() ** 1.7, height=rng.uniform(2.1, 3.4), side=side.sign)
    if street.zebra_m is not None and rng.random() < 0.7:
        x = side.kerb + side.sign * 0.5
        yield _thing(rng, "signal", x, street.zebra_m - 0.6, height=rng.uniform(2.6, 3.4), side=side.sign)


def _clutter(rng: Random, side: Side) -> Iterator[Thing]:
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        x = side.verge + (side.walk - side.verge) * rng.uniform(0.05, 0.95)
        kind = rng.choice(("bin", "bin", "dog", "cone", "bench", "box"))
        yield _thing(rng, kind, x, 4 + 30 * rng.random() ** 1.5, side=side.sign)


def _parked(rng: Random, side: Side) -> Iterator[Thing]:
    """Cars park in bays, or half on the pavement."""
    if rng.random() > (0.85 if side.bay else 0.12):
        return
    z, fill = rng.uniform(2.5, 8), rng.uniform(0.3, 0.95)
    while z < 80:
        length = rng.uniform(5.2, 6.6)
        if rng.random() < fill and not any(a - 1 < z + length and z < b + 1 for a, b in side.side_roads):
            heading = rng.choice((0.0, math.pi)) + rng.gauss(0, 0.03)
            yield _car(rng, side.kerb - side.sign * rng.uniform(0.95, 1.15), z, heading, side.sign)
        z += length


def _car(rng: Random, x: float, z: float, heading: float, sign: int) -> Thing:
    kind = rng.choices(("hatch", "saloon", "suv", "van", "truck", "bus"), (6, 5, 4, 2, 0.7, 0.5))[0]
    centre = z + (2.4 if kind in ("hatch", "saloon", "suv", "van") else 5.5)
    return _thing(rng, kind, x, centre, end=centre, heading=heading, side=sign, order=centre)


def _traffic(rng: Random, street: Street, drive: int) -> Iterator[Thing]:
    for lane, heading, chance in ((0.0, 0.0, 0.6), (-3.2 * drive, math.pi, 0.75)):
        z = rng.uniform(5, 28)
        while z < 90 and rng.random() < chance:
            yield _car(rng, lane + rng.gauss(0, 0.25), z, heading + rng.gauss(0, 0.03), drive)
            z += rng.uniform(7, 28)
    if len(street.lanes) > 1 and rng.random() < 0.6:
        yield _car(rng, 3.3 * drive, rng.uniform(3, 30), rng.gauss(0, 0.02), drive)
    for side in street.sides:
        for start, stop in side.side_roads:
            if rng.random() < 0.5:
                turn = rng.uniform(-0.6, 0.6) + math.pi / 2 * rng.choice((-1, 1))
                yield _car(rng, side.kerb + side.sign * rng.uniform(-1, 6), 0.5 * (start + stop) - 2.4, turn, side.sign)


def _people(rng: Random, street: Street, drive: int) -> Iterator[Thing]:
    for side in street.sides:
        for _ in range(rng.choice((0, 1, 2, 3, 4, 6))):
            x = side.kerb + (side.walk - side.kerb) * rng.uniform(0.15, 0.95)
            yield _person(rng, x, 3.8 + 30 * rng.random() ** 1.7)
    crossing = rng.choice((0, 0, 1, 2)) if street.zebra_m is None else rng.randint(1, 4)
    for _ in range(crossing):
        z = rng.uniform(7, 30) if street.zebra_m is None else street.zebra_m + rng.uniform(0.3, 2.6)
        yield _person(rng, rng.uniform(street.sides[0].kerb, street.sides[1].kerb), z)
    for _ in range(rng.choice((0, 1, 2, 2, 3))):
        if rng.random() < 0.75:
            own = street.sides[0 if drive < 0 else 1]
            x, turn = rng.choice((own.kerb - own.sign * rng.uniform(0.5, 1.2), -drive * rng.uniform(2.0, 4.5))), 0.0
        else:
            x, turn = rng.uniform(street.sides[0].walk, street.sides[1].walk), rng.choice((-1.0, 1.0))
        yield _thing(rng, "cyclist", x, 4.0 + 22 * rng.random() ** 1.6, height=rng.uniform(0.92, 1.08), heading=turn)


def _person(rng: Random, x: float, z: float) -> Thing:
    return _thing(
        rng,
        "person",
        x,
        z,
        height=rng.choice((1.0, 1.0, 1.0, 0.7)) * rng.uniform(1.52, 1.92),
        heading=rng.uniform(-1, 1),
    )
