"""Label files turned into arrays; whatever is wrong with a file becomes one line that names it."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from segsearch.deployment.images import check_depth, opened, raw_mode
from segsearch.errors import InputError

LABEL_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
"""Formats that keep every value."""
_ORIENTATION = 274
_GREY_STEPS = {"L;2": 85, "L;4": 17}  # Pillow spreads 2 and 4 bit grey over 0 .. 255; ids are the steps


def read_size(path: Path) -> tuple[int, int]:
    """Read height and width as shown, from the file's header alone. Raises as `opened`."""
    with opened(path) as image:
        width, height = image.size
        # Pillow turns the size of a TIFF itself; a PNG's own `getexif` would read its pixels
        turned = image.format != "TIFF" and Image.Image.getexif(image).get(_ORIENTATION, 1) in (5, 6, 7, 8)
    return (width, height) if turned else (height, width)


_END_MARKS = {".png": b"IEND", ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}
"""What stands at the end of a file, and in no data before it."""
_TAIL_BYTES = 4096
"""At most so many may follow the mark, before a file is looked at as a whole."""


def check_whole(path: Path) -> None:
    """Raise as `opened` where a PNG or JPEG is cut short; only one without the mark at its end is decoded for that."""
    mark = _END_MARKS.get(path.suffix.lower())
    if mark is None:
        return
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        whole = mark in file.read()
    if not whole:
        with opened(path) as image:
            image.load()


def read_ids(path: Path) -> NDArray[np.uint8]:
    """Read a label file of ids (H, W): grey, palette indices, black and white, or R = G = B; turned as its image.

    Raises:
        InputError: as `opened`, or a picture in colours or with more than 8 bits.
    """
    with opened(path) as image:
        check_depth(path, image)
        step = _GREY_STEPS.get(raw_mode(image), 1)
        pixels = np.asarray(ImageOps.exif_transpose(image))
        if image.mode in ("1", "L", "P"):
            return pixels.astype(np.uint8) // np.uint8(step)
        if image.mode == "LA":
            return np.ascontiguousarray(pixels[..., 0])
        if image.mode in ("RGB", "RGBA"):
            return _grey(path, pixels)
        raise InputError(path, f"is a label in mode {image.mode}, not of class ids", "grey, palette, or R = G = B")


def _grey(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    coloured = (pixels[..., :1] != pixels[..., 1:3]).any(2)
    if coloured.any():
        colour = tuple(int(value) for value in pixels[coloured][0][:3])
        raise InputError(
            path,
            f"holds colours such as {colour}, not class ids",
            "grey, palette, or R = G = B; `encoding: colours` with a list of colours",
        )
    return np.ascontiguousarray(pixels[..., 0])


def read_colours(path: Path) -> NDArray[np.uint8]:
    """Read a label file of colours (H, W, 3), turned as its image would be.

    Raises:
        InputError: as `opened`, or more than 8 bits a channel.
    """
    with opened(path) as image:
        check_depth(path, image)
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def read_palette(path: Path) -> dict[int, tuple[int, int, int]]:
    """Read the colour of each index of a palette label; empty for other images. Raises as `opened`."""
    with opened(path) as image:
        flat = image.getpalette("RGB") if image.mode == "P" else None
    values = flat or []
    return {k: (values[3 * k], values[3 * k + 1], values[3 * k + 2]) for k in range(len(values) // 3)}
