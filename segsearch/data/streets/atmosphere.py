"""Random light, weather and camera."""

import math
from random import Random

from segsearch.data.streets.scene import Light, Sensor, Weather

_SKIES = {
    "noon": ((62, 118, 196), (178, 206, 232)),
    "low_sun": ((92, 122, 172), (246, 214, 168)),
    "overcast": ((168, 174, 182), (206, 210, 214)),
    "dusk": ((44, 54, 92), (206, 142, 112)),
}
_TINTS = {
    "noon": (1.06, 1.02, 0.95),
    "low_sun": (1.12, 0.98, 0.80),
    "overcast": (0.88, 0.91, 0.95),
    "dusk": (0.52, 0.50, 0.62),
}


def random_light(rng: Random) -> Light:
    """Sample sun and sky: noon, low sun, overcast or dusk."""
    kind = rng.choices(("noon", "low_sun", "overcast", "dusk"), (0.4, 0.2, 0.28, 0.12))[0]
    length = {"noon": rng.uniform(0.3, 0.9), "low_sun": rng.uniform(1.0, 2.6)}.get(kind, 0.5)
    angle = rng.uniform(0, math.tau)
    top, low = _SKIES[kind]
    drift = rng.uniform(-14, 14)
    tint = _TINTS[kind]
    return Light(
        sun=(length * math.cos(angle), length * math.sin(angle)),
        sun_gain={"noon": 1.0, "low_sun": 1.2}.get(kind, 0.25),
        tint=(tint[0] * rng.uniform(0.95, 1.05), tint[1], tint[2] * rng.uniform(0.95, 1.05)),
        sky_top=(top[0] + drift, top[1] + drift, top[2] + drift * 0.5),
        sky_low=(low[0] + drift, low[1] + drift * 0.7, low[2] + drift * 0.4),
        clouds={"overcast": rng.uniform(0.5, 1.0)}.get(kind, rng.choice((0.0, rng.uniform(0.1, 0.7)))),
        dark=rng.uniform(0.35, 0.8) if kind == "dusk" else 0.0,
        shadow={"noon": rng.uniform(0.5, 0.75), "low_sun": rng.uniform(0.4, 0.65)}.get(kind, 0.0),
    )


def random_weather(rng: Random, light: Light) -> Weather:
    """Sample fog, rain and a wet road; there is rain only if the sky is overcast or at dusk."""
    dull = light.shadow == 0.0
    rain = rng.uniform(0.2, 1.0) if dull and rng.random() < 0.24 else 0.0
    wet = rng.uniform(0.4, 1.0) if rain else (rng.uniform(0.2, 0.7) if rng.random() < 0.12 else 0.0)
    foggy = rng.random() < (0.22 if dull else 0.06)
    return Weather(sight_m=rng.uniform(28, 90) if foggy else rng.uniform(250, 900), rain=rain, wet=wet)


def random_sensor(rng: Random, light: Light) -> Sensor:
    """Sample exposure, colour cast, noise (more in the dark), blur and compression of the camera."""
    return Sensor(
        exposure=1.12 * math.exp(rng.gauss(0, 0.11)) * (1.0 + 0.35 * light.dark),
        gains=(math.exp(rng.gauss(0, 0.06)), math.exp(rng.gauss(0, 0.025)), math.exp(rng.gauss(0, 0.07))),
        contrast=rng.uniform(0.82, 1.2),
        noise=abs(rng.gauss(0, 0.018)) + 0.015 * light.dark,
        blur=rng.choice((0.0, 0.0, 1.0)) * rng.uniform(0.8, 2.6),
        vignette=rng.uniform(0.0, 0.3),
        jpeg_quality=rng.randint(38, 95),
    )
