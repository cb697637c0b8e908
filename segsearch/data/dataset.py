"""What every data set is: pairs of image and label map with named classes, images of one size, kept in memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import psutil
from numpy.typing import NDArray

from segsearch.deployment.images import Fit

IGNORE = 255
"""Label of pixels that are neither learnt nor scored (void)."""

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""An image (H, W, 3) RGB and its label map (H, W): class indices 0 .. K-1, or `IGNORE`.

The label of a split that is only scored may have a size of its own."""


@runtime_checkable
class Dataset(Protocol):
    """A sequence of pairs; ``dataset[i]`` may raise InputError when a file turns out to be unreadable."""

    @property
    def name(self) -> str:
        """Name for people: ``streets/train``."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the K classes, in the order of their indices."""

    @property
    def colours(self) -> tuple[tuple[int, int, int], ...]:
        """One RGB colour per class."""

    @property
    def fit(self) -> Fit:
        """How images of another shape were brought to their size: scores, files and pictures undo it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Pair: ...

    def content(self) -> dict[str, str]:
        """Give what `fingerprint` compares: ``classes``, ``ignore``, ``size``, and the images."""


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The parts of one data set: what is learnt, what steers the search, and what is only reported."""

    train: Dataset
    val: Dataset
    report: Dataset | None = None

    def parts(self) -> Iterator[tuple[str, Dataset]]:
        """Give the name and data of each split that is there."""
        yield from (("train", self.train), ("val", self.val))
        if self.report is not None:
            yield "report", self.report


LIMIT_BYTES = max(2 * 1024**3, psutil.virtual_memory().total // 4)
"""Of decoded images of one split that a process keeps."""


class Memory:
    """Keeps pairs until ``limit_bytes`` are full, and keeps those: epochs visit all images alike.

    A copy sent to another process keeps nothing: it would be one of several that each see some of the images.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._pairs: dict[int, Pair] = {}

    def get(self, index: int) -> Pair | None:
        """Give a stored pair, which nobody can change."""
        return self._pairs.get(index)

    def put(self, index: int, pair: Pair) -> Pair:
        """Store a pair if there is room, and give it back, made read-only."""
        for array in pair:
            array.flags.writeable = False
        size = sum(array.nbytes for array in pair)
        if index not in self._pairs and self.used_bytes + size <= self.limit_bytes:
            self._pairs[index] = pair
            self.used_bytes += size
        return pair

    def __reduce__(self) -> tuple[type["Memory"], tuple[int]]:
        return Memory, (0,)


MOST_CHARACTERS = 200
"""A longer value keeps its beginning and ends in a hash of the whole."""


def fingerprint(splits: Splits) -> dict[str, str]:
    """Describe the content of a data set: equal for equal data, whatever folder it lies in and however it is written.

    Files are hashed as bytes and not decoded. The values name what differs in words as far as they are short.

    Returns:
        ``classes`` with the label values that stand for them, ``ignore``, ``size``, and for each split ``train``,
        ``val`` and ``report`` what it consists of: ``train.files`` (names relative to the split's folder) and
        ``train.labels`` (content of the label files), or ``train.drawn``.

    Raises:
        InputError: a label file cannot be read.
    """
    found: dict[str, str] = {}
    for part, dataset in splits.parts():
        for key, value in dataset.content().items():
            shared = key in ("classes", "ignore", "size")  # the same for every split of a data set
            found[key if shared else f"{part}.{key}"] = _short(value)
    return found


def _short(value: str) -> str:
    if len(value) <= MOST_CHARACTERS:
        return value
    return f"{value[:MOST_CHARACTERS]}... {hashlib.sha256(value.encode()).hexdigest()[:16]}"
