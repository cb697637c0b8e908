"""From painted polygons to picture and label: texture, shadow, sky, reflections, fog, glow, rain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from segsearch.data.streets import noise
from segsearch.data.streets.camera import FAR_M, SUPER
from segsearch.data.streets.painter import Painter
from segsearch.data.streets.scene import Light, Scene, Weather

Floats = NDArray[np.float32]


@dataclass(kw_only=True)
class Layers:
    """Properties of every pixel of the picture: rgb (H, W, 3), 0 .. 1; the others (H, W)."""

    rgb: Floats
    label: NDArray[np.uint8]
    sky: Floats
    depth_m: Floats
    grain: Floats
    ground: NDArray[np.bool_]
    glow: Floats
    ground_x: Floats
    ground_z: Floats


def read_layers(painter: Painter) -> Layers:
    """Look up colour, class, depth and texture of the polygon seen at every pixel."""
    seen = np.asarray(painter.canvas)
    centres = seen[::SUPER, ::SUPER]
    owner = np.maximum(centres, np.asarray(painter.regions)[::SUPER, ::SUPER])
    materials = [row[1] for row in painter.rows]
    colours = np.zeros((len(painter.rows), 4), np.uint8)
    colours[:, :3] = np.clip([row[0] for row in painter.rows], 0, 255)
    colours[0, 3] = 255  # the sky's share of a pixel travels in the fourth channel
    fine = np.take(colours.view(np.uint32)[:, 0], seen).view(np.uint8).reshape(*seen.shape, 4)
    corners = [fine[i::SUPER, j::SUPER].astype(np.float32) for i in range(SUPER) for j in range(SUPER)]
    mean = np.sum(corners, axis=0) * np.float32(1 / (255 * SUPER * SUPER))
    x, z = painter.camera.ground()
    ground = np.array([m.ground for m in materials])[centres]
    depth = np.array([row[2] for row in painter.rows], np.float32)[centres]
    return Layers(
        rgb=mean[..., :3],
        label=np.array([m.label for m in materials], np.uint8)[owner],
        sky=mean[..., 3],
        depth_m=np.where(ground, z, depth),
        grain=np.array([m.grain for m in materials], np.float32)[centres],
        ground=ground,
        glow=np.array([m.glow for m in materials], np.float32)[centres],
        ground_x=x,
        ground_z=z,
    )


def compose(scene: Scene, painter: Painter, layers: Layers, rng: np.random.Generator) -> Floats:
    """Return the picture as light at the camera, (H, W, 3), about 0 .. 1."""
    _texture(layers, rng)
    _shadows(painter, layers, rng)
    layers.rgb *= np.array(scene.light.tint, np.float32)
    layers.rgb += layers.sky[..., None] * _sky(scene.light, layers, painter, rng)
    if scene.weather.wet:
        _reflections(painter, layers, scene.weather.wet, rng)
    _fog(layers, scene.light, scene.weather)
    _glow(layers, scene)
    if scene.weather.rain:
        _rain(layers, scene.weather.rain, rng)
    return layers.rgb


def _texture(layers: Layers, rng: np.random.Generator) -> None:
    """Add texture noise to surfaces: on the ground in ground coordinates, elsewhere in picture coordinates."""
    size = (layers.sky.shape[0], layers.sky.shape[1])
    shift = rng.integers(0, noise.SIDE, 2).tolist()  # plain numbers keep arrays at 32 bits
    x, z = layers.ground_x, layers.ground_z
    ground = 0.6 * noise.look_up(0.5, x * 30 + shift[0], z * 30 + shift[1]) / (1 + z / 9)
    ground += 0.6 * noise.look_up(1.4, x * 5 + shift[1], z * 2 + shift[0])
    joints = (np.abs((x + 100.0) % 0.9 - 0.45) > 0.41) | (np.abs(z % 0.9 - 0.45) > 0.41)
    ground -= 1.1 * joints * (layers.label == 4) / (1 + (z / 8) ** 2)
    zoom = max(1.0, size[0] / 160)
    upright = 0.6 * noise.sheet(0.4, size, rng, 0.5 * (1 + zoom)) + 0.6 * noise.sheet(1.2, size, rng, 2 * zoom)
    layers.rgb *= (1.0 + layers.grain * np.where(layers.ground, ground, upright))[..., None]


def _shadows(painter: Painter, layers: Layers, rng: np.random.Generator) -> None:
    """Apply soft shadows on the ground, and slow variations of brightness everywhere."""
    size = (layers.sky.shape[0], layers.sky.shape[1])
    soft = painter.shadows.filter(ImageFilter.GaussianBlur(max(0.6, size[0] / 160)))
    dark = np.asarray(soft, np.float32) / 255.0 * layers.ground
    cool = np.array([1.0, 0.97, 0.88], np.float32)  # shadows are lit by the blue sky
    layers.rgb *= 1.0 - dark[..., None] * cool
    layers.rgb *= (1.0 + 0.05 * noise.sheet(2.0, size, rng, max(1.0, size[0] / 128)))[..., None]


def _sky(light: Light, layers: Layers, painter: Painter, rng: np.random.Generator) -> Floats:
    """Sky (H, W, 3): lighter towards the horizon, with horizontally stretched clouds."""
    height, width = layers.sky.shape
    rows = np.arange(height, dtype=np.float32)
    up = np.clip(1.0 - rows * SUPER / max(1.0, painter.camera.v0), 0.0, 1.0)[:, None, None] ** 0.6
    sky = np.array(light.sky_low, np.float32) * (1 - up) + np.array(light.sky_top, np.float32) * up
    sky = np.repeat(sky / 255.0, width, axis=1)
    if light.clouds > 0.05:
        top, left = rng.integers(0, noise.SIDE, 2).tolist()
        row = (rows * 150 / height + top)[:, None] + np.zeros((1, width), np.float32)
        column = (np.arange(width, dtype=np.float32) * 90 / width + left)[None, :] + np.zeros((height, 1), np.float32)
        field = noise.look_up(1.7, row, column) + 0.25 * noise.sheet(0.8, (height, width), rng)
        cover = np.clip((field + 1.6 * light.clouds - 0.8) * 0.8, 0, 1)[..., None] * 0.85
        tone = (
            np.clip(0.9 + 0.07 * field, 0.6, 1.1)[..., None]
            * np.array(light.sky_low, np.float32)
            / 255
            * (1.12 - 0.1 * light.clouds)
        )
        sky = sky * (1 - cover) + tone * cover
    return np.asarray(np.clip(sky, 0, 1.15), np.float32)


def _reflections(painter: Painter, layers: Layers, wet: float, rng: np.random.Generator) -> None:
    """Mirror the scene in wet ground, blurred vertically and broken up by puddles."""
    height = layers.sky.shape[0]
    horizon = painter.camera.v0 / SUPER
    rows = np.clip(np.round(2 * horizon - np.arange(height)), 0, height - 1).astype(np.int32)
    smear = max(1, height // 28)
    total = np.cumsum(np.pad(layers.rgb, ((smear + 1, smear), (0, 0), (0, 0)), mode="edge"), axis=0)
    mirrored = ((total[2 * smear + 1 :] - total[: -2 * smear - 1]) / (2 * smear + 1))[rows]
    puddle = np.clip(0.55 + 0.35 * noise.look_up(1.6, layers.ground_x * 6 + 50, layers.ground_z * 3), 0.1, 1.0)
    glancing = np.clip(0.25 + layers.ground_z / 40, 0.2, 0.75)
    share = (wet * puddle * glancing * layers.ground * (layers.grain < 0.3))[..., None]
    layers.rgb = layers.rgb * (1 - 0.3 * wet * layers.ground[..., None]) * (1 - share) + mirrored * share


def _fog(layers: Layers, light: Light, weather: Weather) -> None:
    """Blend distant surfaces and the sky into the colour of the fog."""
    air = np.array(light.sky_low, np.float32) / 255 * (0.92 - 0.3 * light.dark)
    depth = np.minimum(layers.depth_m, 2 * FAR_M)
    share = (1.0 - np.exp(-depth / np.float32(weather.sight_m)))[..., None] * (0.97 if weather.sight_m < 100 else 0.8)
    sky_share = np.float32(0.85 if weather.sight_m < 100 else 0.06)
    share = share * (1 - layers.sky[..., None]) + sky_share * layers.sky[..., None]
    layers.rgb = np.asarray(layers.rgb * (1 - share) + air * share, np.float32)


def _glow(layers: Layers, scene: Scene) -> None:
    """Brighten lamps and add a halo, stronger in the dark."""
    strength = 0.25 + 0.9 * scene.light.dark
    source = layers.rgb * layers.glow[..., None]
    if not layers.glow.any():
        return
    lamps = Image.fromarray(np.clip(source * 255, 0, 255).astype(np.uint8))
    halo = np.asarray(lamps.filter(ImageFilter.GaussianBlur(max(1.0, layers.sky.shape[0] / 45))), np.float32) / 255
    layers.rgb += source * (0.25 + 0.8 * scene.light.dark) + halo * strength * 2.2


def _rain(layers: Layers, rain: float, rng: np.random.Generator) -> None:
    """Add rain: streaks along the direction in which drops fall."""
    height, width = layers.sky.shape
    drops = (rng.random((height, width)) < 0.012 * rain).astype(np.float32)
    slant, streak = rng.uniform(-0.3, 0.3), max(3, height // 16)
    lines = np.zeros_like(drops)
    for k in range(streak):
        lines += np.roll(np.roll(drops, k, axis=0), round(slant * k), axis=1)
    share = np.minimum(lines, 1.0)[..., None] * (0.16 + 0.1 * rain)
    layers.rgb = layers.rgb * (1 - share) + 0.85 * share * layers.rgb.mean() / 0.5
