"""Image files as people have them: found in folders, read upright as RGB, brought to a size, and written whole."""

from __future__ import annotations

import os
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from segsearch.errors import InputError, one_line
from segsearch.files import no_file, replacing

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""What counts as an image in a folder: for training, prediction and proofs alike."""
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
"""By what is inside, whatever a file is called: Pillow starts other programs for some of the rest."""
_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
PADDING = (124, 116, 104)
"""Colour beside an image that is padded: ImageNet's mean, which networks see as zero."""

Bytes = npt.NDArray[np.uint8]
Fit = Literal["stretch", "pad"]
"""How an image of another shape is brought to a size: each axis by its own factor, or whole, with a margin."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Image files in folders.

    Attributes:
        names: for each file the relative path, without suffix, that files made from it are called by.
        skipped: files beside them that are no images by their suffix.
    """

    names: dict[Path, Path]
    skipped: tuple[Path, ...]


def find_images(paths: Path | Sequence[Path], *, but: Path | None = None) -> Found:
    """Find the images that paths stand for: a file is itself, a folder all images in it at any depth, sorted.

    Names keep the folders below what is given. Of several folders they begin with the folder's own name, or, where two
    have the same name, with the way to it from the folder that holds them all.

    Args:
        paths: files and folders.
        but: a folder that is not looked into: the one for results, as the next run would take them for images.

    Raises:
        InputError: a path that is not there, a folder without images, nothing given, or two images of one name.
    """
    given = [paths] if isinstance(paths, Path) else list(paths)
    if not given:
        raise InputError("images", "none given")
    if but is not None and any(path.is_dir() and _same(path, but) for path in given):
        raise InputError(but, "is the folder that is read; the results need another one")
    starts = _starts({_whole(path if path.is_dir() else path.parent) for path in given})
    names: dict[Path, tuple[Path, Path]] = {}
    skipped: dict[Path, Path] = {}
    for path in given:
        found, others = _images_at(path, but)
        base = _whole(path if path.is_dir() else path.parent)
        for image in found:
            names.setdefault(_whole(image), (image, starts[base] / _whole(image).relative_to(base)))
        skipped |= {_whole(other): other for other in others}
    return Found(names=_shortened(dict(names.values())), skipped=tuple(skipped.values()))


def _whole(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _starts(folders: set[Path]) -> dict[Path, Path]:
    """Give what the names of a folder's images begin with: nothing for one folder."""
    if len(folders) == 1:
        return dict.fromkeys(folders, Path())
    if len({folder.name for folder in folders}) == len(folders):
        return {folder: Path(folder.name) for folder in folders}
    base = os.path.commonpath(folders)
    return {folder: folder.relative_to(base) for folder in folders}


def _images_at(path: Path, but: Path | None) -> tuple[list[Path], list[Path]]:
    if path.is_file():
        return [path], []
    if not path.is_dir():
        raise InputError(path, no_file(path, "there is no such file or folder"))
    images, others = list_files(path, SUFFIXES, but=but)
    if not images:
        raise InputError(path, "the folder holds no images" + said_of(others), SUFFIXES)
    return images, others


def _shortened(paths: dict[Path, Path]) -> dict[Path, Path]:
    """Drop the suffix of each image's path, but where another one differs in nothing else."""
    alike = Counter(path.with_suffix("") for path in paths.values())
    names = {image: path.with_suffix("") if alike[path.with_suffix("")] == 1 else path for image, path in paths.items()}
    (twice, count), *_ = Counter(names.values()).most_common(1)
    if count > 1:
        raise InputError(twice, "two images have this name, so their outputs would replace each other")
    return names


def list_files(folder: Path, suffixes: tuple[str, ...], *, but: Path | None = None) -> tuple[list[Path], list[Path]]:
    """List the files of a folder at any depth, sorted: those with one of the suffixes, and the others.

    Links to folders are followed, as parts of a data set may lie on other disks. Hidden files and folders are left
    out, and so is the folder ``but``.

    Raises:
        InputError: a folder cannot be read.
    """
    found: list[Path] = []
    others: list[Path] = []

    def closed(error: OSError) -> None:
        raise InputError(error.filename, f"cannot be read: {error.strerror}") from error

    for here, below, names in os.walk(folder, onerror=closed, followlinks=True):
        if any(os.path.samefile(here, above) for above in Path(here).parents if above.is_relative_to(folder)):
            below.clear()  # a link to a folder above
            continue
        below[:] = [n for n in below if n[0] != "." and not (but is not None and _same(Path(here, n), but))]
        for path in (Path(here, name) for name in names if name[0] != "."):
            (found if path.suffix.lower() in suffixes and path.is_file() else others).append(path)
    return sorted(found), sorted(others)


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def said_of(skipped: Sequence[Path], most: int = 3) -> str:
    """Say which files were skipped, to be put behind a sentence: ``; skipped 2 other files: readme.txt, v.mp4``."""
    if not skipped:
        return ""
    named = ", ".join(path.name for path in skipped[:most]) + (" ..." if len(skipped) > most else "")
    return f"; skipped {len(skipped)} other file{'s' if len(skipped) > 1 else ''}: {named}"


class _Quiet:
    """Ignores warnings, as odd metadata is no reason to speak; for several threads at once.

    `warnings.catch_warnings` changes the whole process, so the first thread enters it and the last one leaves it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._caught.__exit__(None, None, None)


_quiet = _Quiet()


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file; pixels are read when asked for, inside the block.

    Raises:
        InputError: missing, empty, no image, broken, cut short, or so large that it looks like a decompression bomb.
    """
    from PIL import Image, UnidentifiedImageError

    limit = Image.MAX_IMAGE_PIXELS or 0
    try:
        # not by its path: Pillow then maps raw TIFFs into memory, and mixes up the pixels of those on their side
        with _quiet, path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > limit > 0:
                raise Image.DecompressionBombError
            yield image
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(
            path, "has too many pixels and is not opened", f"up to {limit // 1_000_000} million pixels"
        ) from error
    except UnidentifiedImageError as error:
        problem = "is empty (0 bytes)" if path.stat().st_size == 0 else "is not an image that can be read"
        raise InputError(path, problem, ", ".join(FORMATS)) from error
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except PermissionError as error:
        raise InputError(path, "cannot be read: Permission denied") from error
    except Exception as error:  # decoders of broken files raise OSError, SyntaxError, ValueError, struct.error, ...
        raise InputError(path, f"cannot be decoded: {one_line(error)}".replace(f" {str(path)!r}", "")) from error


def read_image(path: Path, *, deep: bool = True) -> Bytes:
    """Read an image upright (EXIF orientation honoured) as RGB, uint8 [H, W, 3].

    Grey, palette and CMYK images are converted, transparency is dropped, 16 bits are scaled to 8.

    Args:
        path: the file.
        deep: take 16 bits a channel, too. Training does not: what such values mean differs from camera to camera.

    Raises:
        InputError: as `opened`, or more bits a channel.
    """
    from PIL import ImageOps

    with opened(path) as image:
        if not deep:
            check_depth(path, image)
        if image.mode in ("I", "F"):
            raise InputError(path, f"has 32 bits a channel (mode {image.mode})", "8 or 16 bits")
        return np.asarray(_plain(ImageOps.exif_transpose(image)).convert("RGB"))


def check_depth(path: Path, image: Image.Image) -> None:
    """Refuse an opened image with more than 8 bits a channel. Raises InputError."""
    inside = raw_mode(image)  # Pillow calls colours of 16 bits RGB too, and drops half of each
    if image.mode not in _EIGHT_BIT or ";16" in inside:
        raise InputError(path, f"has more than 8 bits a channel (mode {inside or image.mode})", "8-bit images")


def raw_mode(image: Image.Image) -> str:
    """Bit layout inside the file, known until its pixels are read."""
    tile = getattr(image, "tile", None)
    arguments = tile[0][3] if tile else ""
    return str(arguments if isinstance(arguments, str) else (arguments or ("",))[0])


def _plain(image: Image.Image) -> Image.Image:
    """Help Pillow with what it turns into RGB badly: 16-bit grey is clipped, a transparent palette is warned about."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    return image.convert("RGBA") if "transparency" in image.info else image


def place_within(size_hw: tuple[int, int], frame_hw: tuple[int, int]) -> tuple[int, int]:
    """Give height and width of an image of ``size_hw``, brought whole and in its shape into a frame."""
    scale = min(frame_hw[0] / size_hw[0], frame_hw[1] / size_hw[1])
    height, width = (max(1, min(round(side * scale), most)) for side, most in zip(size_hw, frame_hw, strict=True))
    return height, width


def as_image(image: npt.ArrayLike, size_hw: tuple[int, int]) -> Bytes:
    """Return an image, an array or a picture of Pillow, as uint8 [H, W, 3].

    Raises:
        InputError: it is none, or of another size or kind than the only one that a model takes.
    """
    array = np.asarray(image)
    if array.shape != (*size_hw, 3) or array.dtype != np.uint8:
        raise InputError("image", f"must be uint8 {(*size_hw, 3)}, got {array.dtype} {array.shape}")
    return array


def resize_image(image: Bytes, size_hw: tuple[int, int], fit: Fit = "stretch") -> Bytes:
    """Bring an image, uint8 [H, W, 3], bilinearly to [*size_hw, 3]; padded, it lies at the top left."""
    from PIL import Image

    inner = size_hw if fit == "stretch" else place_within(image.shape[:2], size_hw)
    if image.shape[:2] != inner:
        image = np.asarray(Image.fromarray(image).resize(inner[::-1], Image.Resampling.BILINEAR))
    return image if inner == size_hw else _framed(image, size_hw, PADDING)


def resize_mask(mask: Bytes, size_hw: tuple[int, int], fit: Fit = "stretch") -> Bytes:
    """Bring a mask of class indices, uint8 [H, W], back to the size of its image, to the nearest: [*size_hw]."""
    from PIL import Image

    height, width = mask.shape if fit == "stretch" else place_within(size_hw, (mask.shape[0], mask.shape[1]))
    return np.asarray(Image.fromarray(mask[:height, :width]).resize(size_hw[::-1], Image.Resampling.NEAREST))


def resize_label(label: Bytes, size_hw: tuple[int, int], fit: Fit, beside: int) -> Bytes:
    """Bring a label, uint8 [H, W], to [*size_hw] as `resize_image` does its image; the margin holds ``beside``."""
    from PIL import Image

    inner = size_hw if fit == "stretch" else place_within((label.shape[0], label.shape[1]), size_hw)
    if label.shape != inner:
        label = np.asarray(Image.fromarray(label).resize(inner[::-1], Image.Resampling.NEAREST))
    return label if inner == size_hw else _framed(label, size_hw, beside)


def _framed(pixels: Bytes, size_hw: tuple[int, int], colour: object) -> Bytes:
    frame = np.empty((*size_hw, *pixels.shape[2:]), np.uint8)
    frame[:] = colour
    frame[: pixels.shape[0], : pixels.shape[1]] = pixels
    return frame


def write_png(path: Path, pixels: Bytes) -> None:
    """Write uint8 [H, W, 3] or [H, W] as PNG, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
