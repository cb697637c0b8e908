"""Areas give the mask again, pixel by pixel."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from segsearch.deployment.areas import Coco, geojson

CLASSES = ("a", "b", "c")


def masks() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    ring = np.zeros((9, 11), np.uint8)
    ring[1:8, 1:10], ring[3:6, 3:8], ring[4, 5] = 1, 0, 2
    corner = np.array([[1, 0], [0, 1]], np.uint8)
    noise = rng.integers(0, 3, (17, 23), dtype=np.uint8)
    return {"ring": ring, "corners that touch": corner, "noise": noise, "one class": np.full((3, 4), 2, np.uint8)}


def filled(rings: list, size_hw: tuple[int, int]) -> np.ndarray:
    """Fill a polygon with holes by the pixels' middles, eight times larger, so that Pillow's edges do not matter."""
    scale, (height, width) = 8, size_hw
    picture = Image.new("L", (width * scale, height * scale))
    draw = ImageDraw.Draw(picture)
    for value, ring in zip([1, *[0] * (len(rings) - 1)], rings, strict=True):
        draw.polygon([(x * scale, y * scale) for x, y in ring], fill=value)
    return np.asarray(picture)[scale // 2 :: scale, scale // 2 :: scale].astype(bool)


@pytest.mark.parametrize("name", masks())
def test_polygons_with_their_holes_give_the_mask_again(name: str) -> None:
    mask = masks()[name]
    found = json.loads(json.dumps(geojson(mask, CLASSES)))
    covered, again = np.zeros(mask.shape, int), np.full(mask.shape, 9)
    for feature in found["features"]:
        inside = filled(feature["geometry"]["coordinates"], mask.shape)
        assert inside.sum() == feature["properties"]["pixels"]
        assert feature["properties"]["class"] == CLASSES[feature["properties"]["class_index"]]
        covered += inside
        again[inside] = feature["properties"]["class_index"]
    assert (covered == 1).all() and np.array_equal(again, mask)
    if name == "ring":
        ring = next(f for f in found["features"] if f["properties"]["class"] == "b")["geometry"]["coordinates"]
        assert len(ring) == 2 and all(len(part) == 5 for part in ring)  # a rectangle with a hole: no needless points


@pytest.mark.parametrize("name", masks())
def test_runs_give_the_mask_again(name: str) -> None:
    mask = masks()[name]
    coco = Coco(CLASSES)
    coco.add("x/a", mask[:1])
    coco.add("x/b", mask)
    facts = json.loads(json.dumps(coco.plain()))
    again = np.full(mask.shape, 9)
    for found in (a for a in facts["annotations"] if a["image_id"] == 2):
        counts = found["segmentation"]["counts"]
        inside = np.repeat(np.arange(len(counts)) % 2, counts).reshape(mask.shape, order="F").astype(bool)
        left, top, width, height = found["bbox"]
        box = inside[top : top + height, left : left + width]
        assert box.sum() == inside.sum() == found["area"] and box[0].any() and box[:, -1].any()
        again[inside] = found["category_id"]
    assert np.array_equal(again, mask)
    assert len({a["id"] for a in facts["annotations"]}) == len(facts["annotations"])
    assert [c["name"] for c in facts["categories"]] == list(CLASSES)
