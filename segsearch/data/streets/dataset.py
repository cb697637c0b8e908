"""Street scenes as a data set: drawn on demand, cached in memory and, if a folder is given, on disk."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from segsearch.data.dataset import Memory, Pair
from segsearch.data.palette import CAMVID_CLASSES, CAMVID_COLOURS
from segsearch.data.streets.render import draw
from segsearch.deployment.images import Fit
from segsearch.errors import InputError
from segsearch.files import write_atomic

DRAWING = 1
"""Version of the drawings, raised when pictures change, so that a cache never mixes old and new ones."""


class Streets:
    """Images 0 .. count-1 of a (seed, split); each depends on seed, split, index and size alone."""

    classes, colours = CAMVID_CLASSES, CAMVID_COLOURS
    fit: Fit = "stretch"

    def __init__(
        self, *, count: int, seed: int, split: str, size_hw: tuple[int, int], cache: Path | None = None
    ) -> None:
        self.name = f"streets/{split}"
        self.count, self.seed, self.split, self.size_hw = count, seed, split, size_hw
        folder = f"streets{DRAWING}-{seed}-{split}-{size_hw[0]}x{size_hw[1]}"
        self._folder = None if cache is None else cache / folder
        self._memory = Memory()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Pair:
        """Return image (H, W, 3) and label (H, W), both uint8. Raises IndexError outside 0 .. count-1."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self._memory.get(index) or self._memory.put(index, self._load(index))

    def content(self) -> dict[str, str]:
        """See `Dataset`."""
        size = f"{self.size_hw[0]}x{self.size_hw[1]}"
        return {
            "classes": ", ".join(self.classes),
            "size": size,
            "drawn": f"{self.count} scenes, seed {self.seed}, split {self.split}, drawing {DRAWING}",
        }

    def _load(self, index: int) -> Pair:
        if self._folder is None:
            return self._draw(index)
        path = self._folder / f"{index:06}.png"
        stored = _read(path, self.size_hw)
        if stored is None:
            stored = self._draw(index)
            with suppress(InputError):  # an unwritable cache only costs time
                write_atomic(path, _encode(stored))
        return stored

    def _draw(self, index: int) -> Pair:
        return draw(f"{self.seed}/{self.split}/{index}", self.size_hw)


def _encode(pair: Pair) -> bytes:
    """Pack a pair into one PNG whose fourth channel is the label."""
    buffer = io.BytesIO()
    Image.fromarray(np.dstack(pair)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _read(path: Path, size_hw: tuple[int, int]) -> Pair | None:
    """Read a packed pair; None if the file is missing, damaged or of another kind."""
    try:
        content = path.read_bytes()
        Image.open(io.BytesIO(content), formats=("PNG",)).verify()  # every chunk's checksum
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            packed = np.array(image)
    except Exception:  # Pillow raises errors of many types for a damaged file; the picture is drawn again
        return None
    if packed.shape != (*size_hw, 4) or packed.dtype != np.uint8:
        return None
    label = np.ascontiguousarray(packed[..., 3])
    if ((label >= len(CAMVID_CLASSES)) & (label != 255)).any():
        return None
    return np.ascontiguousarray(packed[..., :3]), label
