"""What the values of a label file mean."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segsearch.data.dataset import IGNORE
from segsearch.data.decode import read_colours, read_ids
from segsearch.data.palette import Colour
from segsearch.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How often each value stands in a label file.

    Attributes:
        size_hw: of the file, in pixels.
        classes: pixels by class index.
        ignored, unknown: pixels by the value as it is written: of values to ignore, and of those that mean nothing.
    """

    size_hw: tuple[int, int]
    classes: dict[int, int]
    ignored: dict[str, int]
    unknown: dict[str, int]


class LabelReader(ABC):
    """Reads label files at their own size. A value in a file is a number: an id, or a colour as 0xRRGGBB."""

    @abstractmethod
    def values(self, path: Path) -> NDArray[Any]:
        """Read whole numbers (H, W). Raises InputError for an unreadable file."""

    @abstractmethod
    def index(self, value: int) -> int | None:
        """Give the class 0 .. K-1 that a value stands for, `IGNORE`, or None where it means nothing."""

    @abstractmethod
    def allowed(self) -> str:
        """Say in words which values mean something."""

    @abstractmethod
    def meaning(self, classes: tuple[str, ...]) -> dict[str, str]:
        """Say which values stand for which of ``classes``, and which for none: ``classes`` and ``ignore``."""

    def written(self, value: int) -> str:
        """Write a value as people do."""
        return str(value)

    def refusal(self, path: Path, unknown: Sequence[str]) -> InputError:
        """Say that a file holds values which mean nothing, and what is allowed."""
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        return InputError(path, f"label value {unknown[0]}{more} is no class", self.allowed())

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """Read a file as (H, W) of 0 .. K-1 or `IGNORE`.

        Raises:
            InputError: an unreadable file, or a value that means nothing.
        """
        found = self.values(path)
        values, _, where = _distinct(found)
        indices = [self.index(value) for value in values]
        unknown = [self.written(value) for value, index in zip(values, indices, strict=True) if index is None]
        if unknown:
            raise self.refusal(path, unknown)
        return np.array(indices, np.uint8)[where].reshape(found.shape)

    def tally(self, path: Path) -> Tally:
        """Count the values of a file. Raises InputError for an unreadable file."""
        found = self.values(path)
        classes: dict[int, int] = {}
        ignored: dict[str, int] = {}
        unknown: dict[str, int] = {}
        values, counts, _ = _distinct(found)
        for value, count in zip(values, counts, strict=True):
            index = self.index(value)
            if index is not None and index != IGNORE:
                classes[index] = count
            else:
                (unknown if index is None else ignored)[self.written(value)] = count
        return Tally(size_hw=(found.shape[0], found.shape[1]), classes=classes, ignored=ignored, unknown=unknown)


def _distinct(found: NDArray[Any]) -> tuple[list[int], list[int], NDArray[np.intp]]:
    """Find the different values, their counts, and the place of each pixel's value among them."""
    if found.dtype == np.uint8:  # without sorting, as this is done for each image that is read
        counts = np.bincount(found.ravel(), minlength=256)
        values, places = counts.nonzero()[0], np.zeros(256, np.intp)
        places[values] = np.arange(len(values))
        return values.tolist(), counts[values].tolist(), places[found]
    values, where, counts = np.unique(found, return_inverse=True, return_counts=True)
    return values.tolist(), counts.tolist(), where


@dataclass(frozen=True, kw_only=True)
class IdLabels(LabelReader):
    """Label files hold ids: ``ids[k]``, one or several, stand for class k, those in ``ignore`` for none.

    Attributes:
        fixed: whether a published data set fixes them, so that nobody may write others.
        note: what a refusal says besides.
    """

    ids: tuple[int | tuple[int, ...], ...]
    ignore: tuple[int, ...] = (IGNORE,)
    fixed: bool = False
    note: str = ""

    @cached_property
    def _classes(self) -> dict[int, int]:
        return {value: k for k, ids in enumerate(self.ids) for value in _each(ids)}

    def values(self, path: Path) -> NDArray[np.uint8]:
        """See `LabelReader`."""
        return read_ids(path)

    def index(self, value: int) -> int | None:
        """See `LabelReader`."""
        return self._classes.get(value, IGNORE if value in self.ignore else None)

    def allowed(self) -> str:
        """See `LabelReader`."""
        return f"{_ranges(self._classes)}; to ignore {_ranges(self.ignore) or 'none'}{self.note}"

    def meaning(self, classes: tuple[str, ...]) -> dict[str, str]:
        """See `LabelReader`."""
        written = ["+".join(map(str, _each(ids))) for ids in self.ids]
        return {"classes": _named(classes, written), "ignore": _ranges(self.ignore)}


def _each(ids: int | tuple[int, ...]) -> tuple[int, ...]:
    return (ids,) if isinstance(ids, int) else ids


@dataclass(frozen=True, kw_only=True)
class ColourLabels(LabelReader):
    """Label files hold colours: ``colours[k]`` stands for class k, those in ``ignore`` (or all others) for none."""

    colours: tuple[Colour, ...]
    ignore: tuple[Colour, ...] | Literal["others"] = ()

    def values(self, path: Path) -> NDArray[np.int64]:
        """See `LabelReader`."""
        numbers: NDArray[np.int64] = read_colours(path) @ np.array([65536, 256, 1])
        return numbers

    def index(self, value: int) -> int | None:
        """See `LabelReader`."""
        colour = _colour(value)
        if colour in self.colours:
            return self.colours.index(colour)
        return IGNORE if self.ignore == "others" or colour in self.ignore else None

    def written(self, value: int) -> str:
        """See `LabelReader`."""
        return str(_colour(value))

    def allowed(self) -> str:
        """See `LabelReader`."""
        ignored = "all others" if self.ignore == "others" else len(self.ignore)
        return f"the {len(self.colours)} colours of the classes and {ignored} to ignore"

    def meaning(self, classes: tuple[str, ...]) -> dict[str, str]:
        """See `LabelReader`."""
        ignore = self.ignore if isinstance(self.ignore, str) else ", ".join(map(_hex, sorted(self.ignore)))
        return {"classes": _named(classes, [_hex(colour) for colour in self.colours]), "ignore": ignore}


def _colour(value: int) -> Colour:
    return value >> 16, value >> 8 & 255, value & 255


def _named(classes: tuple[str, ...], values: Sequence[object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(classes, values, strict=True))


def _hex(colour: Colour) -> str:
    return "#" + bytes(colour).hex()


def _ranges(numbers: Iterable[int]) -> str:
    """Write numbers short: 0..10, 255."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in runs)
