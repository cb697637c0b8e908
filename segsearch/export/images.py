"""Image files as people have them: found, read upright as RGB, and written whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from segsearch.errors import InputError, one_line
from segsearch.files import replacing

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
"""By what is inside, whatever a file is called: Pillow starts other programs for some of the rest."""

Bytes = npt.NDArray[np.uint8]


def find_images(paths: Path | Sequence[Path]) -> list[Path]:
    """List the images that paths stand for: a file is itself, a folder its jpg and png files, sorted, not deeper.

    Raises:
        InputError: a path that is not there, a folder without images, or nothing given at all.
    """
    given = [paths] if isinstance(paths, Path) else list(paths)
    if not given:
        raise InputError("images", "none given")
    found = [image for path in given for image in _images_at(path)]
    return list(dict.fromkeys(found))


def _images_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(path, "there is no such file or folder")
    images = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file() and p.name[0] != ".")
    if not images:
        raise InputError(path, "the folder holds no images", SUFFIXES)
    return images


def read_image(path: Path) -> Bytes:
    """Read an image upright (EXIF orientation honoured) as RGB, uint8 [H, W, 3].

    Raises:
        InputError: missing, empty, truncated, or not an image.
    """
    from PIL import Image, ImageOps

    try:
        if not path.stat().st_size:
            raise InputError(path, "is empty")
        with Image.open(path, formats=FORMATS) as file:
            upright = ImageOps.exif_transpose(file)
            return np.asarray(_plain(upright).convert("RGB"))
    except InputError:
        raise
    except OSError as error:
        raise InputError(path, f"cannot be read as an image: {error.strerror or _reason(error, path)}") from error
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        raise InputError(path, f"cannot be read as an image: {_reason(error, path)}") from error


def _plain(image: Image.Image) -> Image.Image:
    """Help Pillow with what it turns into RGB badly: 16-bit grey is clipped, a transparent palette is warned about."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    return image.convert("RGBA") if "transparency" in image.info else image


def _reason(error: Exception, path: Path) -> str:
    return one_line(error).replace(f" {str(path)!r}", "")


def resize_image(image: Bytes, size_hw: tuple[int, int]) -> Bytes:
    """Resize an image, uint8 [H, W, 3], bilinearly to [*size_hw, 3]."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize(size_hw[::-1], Image.Resampling.BILINEAR))


def resize_mask(mask: Bytes, size_hw: tuple[int, int]) -> Bytes:
    """Resize class indices, uint8 [H, W], to the nearest, [*size_hw]."""
    from PIL import Image

    return np.asarray(Image.fromarray(mask).resize(size_hw[::-1], Image.Resampling.NEAREST))


def write_png(path: Path, pixels: Bytes) -> None:
    """Write uint8 [H, W, 3] or [H, W] as PNG, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def output_names(paths: Iterable[Path]) -> dict[Path, str]:
    """Name each image's outputs: its stem, or where two images share one, its whole name with the suffix."""
    images = list(paths)
    stems = Counter(path.stem for path in images)
    names = {path: path.stem if stems[path.stem] == 1 else path.name for path in images}
    (twice, count), *_ = Counter(names.values()).most_common(1) or [("", 0)]
    if count > 1:
        raise InputError(twice, "two images have this name, so their outputs would replace each other")
    return names
