"""A mask as areas: polygons along the edges of its pixels (GeoJSON), or runs of pixels (COCO)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segsearch.deployment.images import Bytes
from segsearch.errors import MissingExtraError


def geojson(mask: Bytes, classes: Sequence[str]) -> dict[str, Any]:
    """Give a GeoJSON FeatureCollection with a polygon for each connected area of one class, holes included.

    Coordinates are pixels, x to the right and y down, (0, 0) the image's upper left corner; edges run between pixels,
    so that filling the polygons gives the mask again. Pixels that touch at a corner only are not connected.

    Args:
        mask: class indices, uint8 [H, W].
        classes: names by class index.

    Raises:
        MissingExtraError: shapely is not installed.
    """
    features = [
        {
            "type": "Feature",
            "properties": {"class": classes[index], "class_index": index, "pixels": round(polygon.area)},
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [[int(x), int(y)] for x, y in ring.coords] for ring in (polygon.exterior, *polygon.interiors)
                ],
            },
        }
        for index in np.unique(mask).tolist()
        for polygon in _polygons(mask == index)
    ]
    return {"type": "FeatureCollection", "features": features}


def _polygons(inside: np.ndarray) -> Sequence[Any]:
    """Join the runs of the rows of [H, W] to polygons of shapely."""
    try:
        import shapely
    except ImportError as error:
        raise MissingExtraError("shapely", "contours") from error
    steps = np.diff(np.pad(inside, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = (steps == 1).nonzero()
    ends = (steps == -1).nonzero()[1]
    joined = shapely.union_all(shapely.box(starts, rows, ends, rows + 1))
    found: Sequence[Any] = shapely.get_parts(shapely.simplify(joined, 0))
    return found


class Coco:
    """Masks of several images in COCO's form: one annotation per image and class, as COCO-Stuff has them.

    A ``segmentation`` holds lengths of runs down the columns, first of pixels outside, which pycocotools reads with
    ``annToMask``. Ids of categories are class indices.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, name: str, mask: Bytes) -> None:
        """Add an image, by its file's name, with its mask of class indices, uint8 [H, W]."""
        height, width = mask.shape
        image = len(self._images) + 1
        self._images.append({"id": image, "file_name": name, "height": height, "width": width})
        for index in np.unique(mask).tolist():
            inside = mask == index
            rows, columns = inside.any(1).nonzero()[0], inside.any(0).nonzero()[0]
            top, left = int(rows[0]), int(columns[0])
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": image,
                    "category_id": index,
                    "segmentation": {"size": [height, width], "counts": _runs(inside)},
                    "area": int(inside.sum()),
                    "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
                    "iscrowd": 0,
                }
            )

    def plain(self) -> dict[str, Any]:
        """Give the content of the JSON file."""
        categories = [{"id": index, "name": name} for index, name in enumerate(self._classes)]
        return {"images": self._images, "annotations": self._annotations, "categories": categories}


def _runs(inside: np.ndarray) -> list[int]:
    flat = inside.ravel(order="F")
    ends = [*(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), len(flat)]
    lengths = np.diff([0, *ends]).tolist()
    return [0, *lengths] if flat[0] else lengths
