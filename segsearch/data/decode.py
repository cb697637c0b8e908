"""Image files turned into arrays; whatever is wrong with a file becomes one line that names it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from segsearch.errors import InputError
from segsearch.export.images import FORMATS

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
LABEL_SUFFIXES = (".png",)
_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_ORIENTATION = 274
_GREY_STEPS = {"L;2": 85, "L;4": 17}  # Pillow spreads 2 and 4 bit grey over 0 .. 255; ids are the steps


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file; pixels are read when asked for, inside the block.

    Raises:
        InputError: missing, empty, no image, broken, cut short, or so large that it looks like a decompression bomb.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no reason to speak
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                yield image
    except InputError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise InputError(path, "has too many pixels and is not opened", f"up to {limit} million pixels") from error
    except UnidentifiedImageError as error:
        problem = "is empty (0 bytes)" if path.stat().st_size == 0 else "is not an image"
        raise InputError(path, problem, "PNG, JPEG, BMP or WebP") from error
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except PermissionError as error:
        raise InputError(path, "cannot be read: Permission denied") from error
    except Exception as error:  # decoders of broken files raise OSError, SyntaxError, ValueError, struct.error, ...
        raise InputError(path, f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}") from error


def read_size(path: Path) -> tuple[int, int]:
    """Read height and width as shown, from the file's header alone. Raises as `opened`."""
    with opened(path) as image:
        width, height = image.size
        turned = Image.Image.getexif(image).get(_ORIENTATION, 1) in (5, 6, 7, 8)  # a PNG's own would read its pixels
    return (width, height) if turned else (height, width)


def read_image(path: Path, size_hw: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read an image as RGB (H, W, 3), turned upright by its EXIF orientation and brought to a size (bilinear).

    Grey, palette and CMYK images are converted, transparency is dropped.

    Raises:
        InputError: as `opened`, or more than 8 bits a channel.
    """
    with opened(path) as image:
        _check_depth(path, image)
        upright = ImageOps.exif_transpose(image).convert("RGB")
        if size_hw is not None and upright.size != size_hw[::-1]:
            upright = upright.resize(size_hw[::-1], Image.Resampling.BILINEAR)
        return np.array(upright)


def read_ids(path: Path) -> NDArray[np.uint8]:
    """Read a label PNG of ids (H, W): greyscale, palette indices or black and white; turned as its image would be.

    Raises:
        InputError: as `opened`, or a picture in colours or with more than 8 bits.
    """
    with opened(path) as image:
        _check_depth(path, image)
        if image.mode not in ("1", "L", "P"):
            raise InputError(path, f"is a label in mode {image.mode}, not of class ids", "greyscale or palette")
        step = _GREY_STEPS.get(_raw_mode(image), 1)
        return np.asarray(ImageOps.exif_transpose(image)).astype(np.uint8) // np.uint8(step)


def read_colours(path: Path) -> NDArray[np.uint8]:
    """Read a label PNG of colours (H, W, 3), turned as its image would be.

    Raises:
        InputError: as `opened`, or more than 8 bits a channel.
    """
    with opened(path) as image:
        _check_depth(path, image)
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def resize_label(label: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Bring a label (H, W) to a size by its nearest pixels."""
    if label.shape == size_hw:
        return label
    return np.array(Image.fromarray(label).resize(size_hw[::-1], Image.Resampling.NEAREST))


def _check_depth(path: Path, image: Image.Image) -> None:
    inside = _raw_mode(image)  # Pillow calls colours of 16 bits RGB too, and drops half of each
    if image.mode not in _EIGHT_BIT or ";16" in inside:
        raise InputError(path, f"has more than 8 bits a channel (mode {inside or image.mode})", "8-bit images")


def _raw_mode(image: Image.Image) -> str:
    """Bit layout inside the file, known until its pixels are read."""
    tile = getattr(image, "tile", None)
    arguments = tile[0][3] if tile else ""
    return str(arguments if isinstance(arguments, str) else (arguments or ("",))[0])
