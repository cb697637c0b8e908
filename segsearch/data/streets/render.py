"""A scene drawn at a size, and seen through a camera: exposure, colour cast, blur, vignette, noise, compression."""

import io
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from segsearch.data.dataset import Pair
from segsearch.data.streets import buildings, furniture, greenery, people, vehicles
from segsearch.data.streets.camera import SUPER, Camera
from segsearch.data.streets.compose import compose, read_layers
from segsearch.data.streets.ground import draw_ground
from segsearch.data.streets.layout import random_scene
from segsearch.data.streets.materials import CLUTTER, shade
from segsearch.data.streets.painter import Painter
from segsearch.data.streets.scene import Scene, Sensor, Thing

Floats = NDArray[np.float32]

DRAW: dict[str, Callable[[Painter, Thing], None]] = {
    "terrace": buildings.draw_building,
    "houses": buildings.draw_building,
    "office": buildings.draw_building,
    "works": buildings.draw_building,
    "crossing_house": buildings.draw_crossing_house,
    "skyline": buildings.draw_skyline,
    "wall": buildings.draw_garden_wall,
    "tree": greenery.draw_tree,
    "hedge": greenery.draw_hedge,
    "hatch": vehicles.draw_vehicle,
    "saloon": vehicles.draw_vehicle,
    "suv": vehicles.draw_vehicle,
    "van": vehicles.draw_vehicle,
    "truck": vehicles.draw_vehicle,
    "bus": vehicles.draw_vehicle,
    "person": people.draw_person,
    "cyclist": people.draw_cyclist,
    "lamp": furniture.draw_lamp,
    "mast": furniture.draw_mast,
    "bollard": furniture.draw_bollard,
    "sign": furniture.draw_sign,
    "signal": furniture.draw_signal,
    "board": furniture.draw_board,
    "fence": furniture.draw_fence,
    "bin": furniture.draw_bin,
    "dog": furniture.draw_dog,
    "cone": furniture.draw_cone,
    "bench": furniture.draw_bench,
    "box": furniture.draw_box,
}


def render(scene: Scene, size_hw: tuple[int, int]) -> Pair:
    """Draw a scene: image uint8 (H, W, 3) and label uint8 (H, W), exact to the pixel; no other input."""
    painter = Painter(Camera(scene.view, size_hw), scene.light)
    draw_ground(painter, scene.street)
    for thing in scene.things:
        if not _outside(painter.camera, thing):
            DRAW[thing.kind](painter, thing)
    if scene.bonnet:
        _draw_bonnet(painter, scene.seed)
    layers = read_layers(painter)
    rng = np.random.default_rng(scene.seed)
    image = expose(compose(scene, painter, layers, rng), scene.sensor, rng)
    return image, layers.label


def draw(key: str, size_hw: tuple[int, int]) -> Pair:
    """Draw the scene of a key such as ``0/train/17``."""
    return render(random_scene(key), size_hw)


def _outside(camera: Camera, thing: Thing) -> bool:
    """Whether a thing at a single position lies completely left or right of the picture."""
    if thing.end != thing.z or thing.z > 100:
        return False
    u, reach = camera.point(thing.x, 1.0, thing.z)[0], (thing.width + 6.0) * camera.focal / thing.z
    return u + reach < 0 or u - reach > camera.size_hw[1] * SUPER


def _draw_bonnet(painter: Painter, seed: int) -> None:
    """Paint the front of the car that carries the camera (no class)."""
    height, width = (s * SUPER for s in painter.camera.size_hw)
    top, edge = height * (0.9 - 0.05 * (seed % 3) / 2), height * (0.97 + 0.02 * (seed % 2))
    colour = ((44, 46, 50), (120, 124, 128), (92, 34, 34), (60, 72, 96))[seed % 4]
    curve = [(width * k / 8, edge + (top - edge) * (1 - ((k - 4) / 4) ** 2)) for k in range(9)]
    corners = [c for p in (*curve, (width, height), (0, height)) for c in p]
    painter.polygon(corners, colour, CLUTTER, 1.0)
    gloss = [c for p in (*curve, *((u, v + 0.03 * height) for u, v in reversed(curve))) for c in p]
    painter.polygon(gloss, shade(colour, 1.5), CLUTTER, 1.0)


def expose(rgb: Floats, sensor: Sensor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn light (H, W, 3) into a photograph, uint8 (H, W, 3)."""
    height, width = rgb.shape[:2]
    rgb = rgb * (np.array(sensor.gains, np.float32) * sensor.exposure)
    rgb = (rgb - 0.45) * sensor.contrast + 0.45
    rows, columns = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    rgb *= (1.0 - 0.5 * sensor.vignette * (rows[:, None] ** 2 + columns[None, :] ** 2))[..., None]
    rgb = np.where(rgb > 0.8, 0.8 + 0.2 * np.tanh((rgb - 0.8) / 0.2), rgb)  # highlights roll off before they clip
    rgb += sensor.noise * rng.standard_normal(rgb.shape, np.float32)
    picture = Image.fromarray((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8))
    radius = sensor.blur / 1000 * math.hypot(height, width)
    if radius > 0.2:
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    return _compressed(picture, sensor.jpeg_quality)


def _compressed(picture: Image.Image, quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer).convert("RGB"))
