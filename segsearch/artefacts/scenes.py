"""Images that a proof is made on where there is no data set, a folder of anybody's or drawn scenes; an example."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segsearch.data.dataset import Dataset
from segsearch.data.streets.dataset import Streets
from segsearch.deployment.images import Bytes, find_images, read_image, resize_image, said_of
from segsearch.deployment.onnx import OnnxModel
from segsearch.deployment.results import overlay

SCENES, CALIBRATION_SCENES, CALIBRATION_IMAGES = 4, 16, 32
EXAMPLE = "example.png"
LARGEST_DRAWN = (512, 1024)
"""Larger scenes are drawn at this size and resized, which is quicker."""


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """Images of one size, uint8 [H, W, 3], made anew each time they are asked for.

    Attributes:
        said: what they are, in words that follow a number.
        proof: those that masks are compared on; calibration: those that int8 takes its ranges from.
    """

    said: str
    proof: Callable[[], Iterator[Bytes]]
    calibration: Callable[[], Iterator[Bytes]]


def scenes(size_hw: tuple[int, int], folder: Path | None) -> Scenes:
    """Give the images in a folder, resized, or drawn streets without one.

    Raises:
        InputError: the folder is not there or holds no images.
    """
    if folder is None:
        return Scenes(
            said="drawn street scenes",
            proof=lambda: _drawn("proof", SCENES, size_hw),
            calibration=lambda: _drawn("calibration", CALIBRATION_SCENES, size_hw),
        )
    found = find_images(folder)

    def read() -> Iterator[Bytes]:
        return (resize_image(read_image(path), size_hw) for path in found.names)

    return Scenes(said=f"images of {folder.name}{said_of(found.skipped)}", proof=read, calibration=read)


def _drawn(split: str, count: int, size_hw: tuple[int, int]) -> Iterator[Bytes]:
    size = size_hw if size_hw[0] * size_hw[1] <= LARGEST_DRAWN[0] * LARGEST_DRAWN[1] else LARGEST_DRAWN
    drawn = Streets(count=count, seed=0, split=split, size_hw=size)
    return (resize_image(drawn[index][0], size_hw) for index in range(count))


def images_of(dataset: Dataset, most: int | None = None) -> Iterator[Bytes]:
    """Give all images of a dataset, or ``most`` of them, evenly spread."""
    count = min(most or len(dataset), len(dataset))
    return (dataset[index * len(dataset) // count][0] for index in range(count))


def example(model: OnnxModel, image: Bytes) -> Bytes:
    """Lay an image, uint8 (H, W, 3), beside what the file makes of it, uint8 (H, 2 W, 3)."""
    painted = overlay(image, model.predict(image), model.colours, 0.6)
    return np.concatenate([image, painted], axis=1)
