"""Names of classes beside their colours, as a picture to be put below others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

GAP, SWATCH = 4, 12
"""White between pictures, and the side of a colour, in pixels."""


def legend(width: int, words: Mapping[str, tuple[int, int, int]]) -> Image.Image:
    """Write words beside their colours, in as many rows as they need for a width in pixels."""
    from PIL import Image, ImageDraw

    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    names, places, left, row = [_printable(word) for word in words], [], 0, 0
    for name in names:
        needed = 2 * SWATCH + round(ruler.textlength(name))
        if left and left + needed > width:
            left, row = 0, row + 1
        places.append((left, row * (SWATCH + GAP)))
        left += needed
    picture = Image.new("RGB", (width, (row + 1) * (SWATCH + GAP)), "white")
    draw = ImageDraw.Draw(picture)
    for (x, y), name, colour in zip(places, names, words.values(), strict=True):
        draw.rectangle((x, y, x + SWATCH - 2, y + SWATCH - 2), fill=colour)
        draw.text((x + SWATCH + 2, y), name, fill="black")
    return picture


def _printable(word: str) -> str:
    """Write what cannot be drawn in one line as Python would: others' models call classes as they like."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in word)
