"""Description of a street scene: viewpoint, street, things, light, weather and camera.

Metres throughout: x to the right of the camera, y up from the ground, z ahead.
"""

from dataclasses import dataclass

from segsearch.data.streets.materials import Colour


@dataclass(frozen=True, kw_only=True)
class View:
    """Where the camera is and looks: ``horizon``, ``centre`` in parts of height, width; ``bend`` of the road in 1/m."""

    height_m: float
    horizon: float
    centre: float
    zoom: float
    roll: float
    bend: float


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of the street, outwards: kerb, verge of grass, pavement, front garden, building line (all x, signed).

    ``bay``: room to park between lane and kerb.
    """

    sign: int
    kerb: float
    verge: float
    walk: float
    line: float
    bay: bool
    side_roads: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Street:
    """The ground: its two sides, the lane borders and the markings."""

    sides: tuple[Side, Side]
    lanes: tuple[float, ...]
    zebra_m: float | None
    cycle_lane: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something that stands on or along the street, from ``z`` to ``end``; ``order`` is the depth it is drawn at."""

    kind: str
    x: float
    z: float
    end: float
    width: float
    height: float
    side: int
    heading: float
    order: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Light:
    """Sun and sky: ``sun`` is the ground shift of the shadow of a thing 1 m high, ``dark`` 0 .. 1 at nightfall."""

    sun: tuple[float, float]
    sun_gain: float
    tint: Colour
    sky_top: Colour
    sky_low: Colour
    clouds: float
    dark: float
    shadow: float


@dataclass(frozen=True, kw_only=True)
class Weather:
    """Fog (sight in metres), falling rain and wetness of the ground (0 .. 1)."""

    sight_m: float
    rain: float
    wet: float


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """Parameters of the camera; ``blur`` in thousandths of the picture's diagonal."""

    exposure: float
    gains: tuple[float, float, float]
    contrast: float
    noise: float
    blur: float
    vignette: float
    jpeg_quality: int


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything a picture is drawn from; independent of the picture's size."""

    view: View
    street: Street
    things: tuple[Thing, ...]
    light: Light
    weather: Weather
    sensor: Sensor
    bonnet: bool
    seed: int
