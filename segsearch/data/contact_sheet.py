"""A sheet of sample scenes, each image above its label: ``python -m segsearch.data.contact_sheet [FILE]``."""

import io
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segsearch.data.palette import CAMVID_COLOURS, blend
from segsearch.data.streets.render import draw
from segsearch.files import write_atomic

SOFTWARE = "segsearch data sheet"
"""What a sheet's file says that it was written by; by it an older one is known, which may be replaced."""


def contact_sheet(
    columns: int = 4, rows: int = 3, size_hw: tuple[int, int] = (128, 192), seed: int = 1, split: str = "train"
) -> NDArray[np.uint8]:
    """Draw columns x rows scenes of `streets`; gives one RGB picture (H, W, 3)."""
    gap = 6
    cell_h, cell_w = 2 * size_hw[0] + 2 + gap, size_hw[1] + gap
    sheet = np.full((rows * cell_h + gap, columns * cell_w + gap, 3), 255, np.uint8)
    for k in range(columns * rows):
        image, label = draw(f"{seed}/{split}/{k}", size_hw)
        top, left = (k // columns) * cell_h + gap, (k % columns) * cell_w + gap
        shown = np.concatenate(
            (image, np.full((2, size_hw[1], 3), 255, np.uint8), blend(image, label, CAMVID_COLOURS, 0.7))
        )
        sheet[top : top + shown.shape[0], left : left + size_hw[1]] = shown
    return sheet


def save_contact_sheet(path: Path, sheet: NDArray[np.uint8] | None = None) -> None:
    """Write a sheet (the usual one) as PNG. Raises InputError where the file cannot be written."""
    buffer, told = io.BytesIO(), PngInfo()
    told.add_text("Software", SOFTWARE)
    Image.fromarray(contact_sheet() if sheet is None else sheet).save(buffer, "PNG", optimize=True, pnginfo=told)
    write_atomic(path, buffer.getvalue())


if __name__ == "__main__":
    save_contact_sheet(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/streets.png"))
