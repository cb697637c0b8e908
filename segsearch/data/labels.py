"""What the values of a label file mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from segsearch.data.dataset import IGNORE
from segsearch.data.decode import read_colours, read_ids
from segsearch.data.palette import Colour
from segsearch.errors import InputError


class LabelReader(Protocol):
    """Reads a label file as class indices."""

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """Give (H, W) of 0 .. K-1 or `IGNORE`. Raises InputError for an unreadable file or an unknown value."""

    def meaning(self, classes: tuple[str, ...]) -> dict[str, str]:
        """Say which values stand for which of ``classes``, and which for none: ``classes`` and ``ignore``."""


@dataclass(frozen=True, kw_only=True)
class IdLabels:
    """Label files hold ids: ``ids[k]`` stands for class k, those in ``ignore`` for none."""

    ids: tuple[int, ...]
    ignore: tuple[int, ...] = (IGNORE,)

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """Read one file."""
        table = np.full(256, -1, np.int16)
        table[list(self.ids)] = np.arange(len(self.ids))
        table[list(self.ignore)] = IGNORE
        found = read_ids(path)
        label = table[found]
        if (label < 0).any():
            bad = int(found[label < 0].min())
            raise InputError(
                path, f"label id {bad} is no class", f"{_ranges(self.ids)}; to ignore {_ranges(self.ignore)}"
            )
        return label.astype(np.uint8)

    def meaning(self, classes: tuple[str, ...]) -> dict[str, str]:
        """See `LabelReader`."""
        return {"classes": _named(classes, self.ids), "ignore": _ranges(self.ignore)}


@dataclass(frozen=True, kw_only=True)
class ColourLabels:
    """Label files hold colours: ``colours[k]`` stands for class k, those in ``ignore`` (or all others) for none."""

    colours: tuple[Colour, ...]
    ignore: tuple[Colour, ...] | Literal["others"] = ()

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """Read one file."""
        found = read_colours(path).astype(np.int32)
        codes, where = np.unique(found @ np.array([65536, 256, 1]), return_inverse=True)
        indices = np.array([self._index(int(code), path) for code in codes], np.uint8)
        return indices[where].reshape(found.shape[:2])

    def meaning(self, classes: tuple[str, ...]) -> dict[str, str]:
        """See `LabelReader`."""
        ignore = self.ignore if isinstance(self.ignore, str) else ", ".join(map(_hex, sorted(self.ignore)))
        return {"classes": _named(classes, [_hex(colour) for colour in self.colours]), "ignore": ignore}

    def _index(self, code: int, path: Path) -> int:
        colour = (code >> 16, code >> 8 & 255, code & 255)
        if colour in self.colours:
            return self.colours.index(colour)
        if self.ignore == "others" or colour in self.ignore:
            return IGNORE
        known = f"the {len(self.colours)} colours of the classes and {len(self.ignore)} to ignore"
        raise InputError(path, f"label colour {colour} is no class", known)


def _named(classes: tuple[str, ...], values: Sequence[object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(classes, values, strict=True))


def _hex(colour: Colour) -> str:
    return "#" + bytes(colour).hex()


def _ranges(numbers: tuple[int, ...]) -> str:
    """Write numbers short: 0..10, 255."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in runs)
