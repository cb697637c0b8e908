"""Pairs of files as a data set."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from segsearch.data.dataset import Pair
from segsearch.data.decode import read_image, resize_label
from segsearch.data.labels import LabelReader
from segsearch.data.memory import Memory
from segsearch.data.pairs import FilePair
from segsearch.data.palette import Colour
from segsearch.errors import InputError

READERS = 4
"""Threads that read files."""


class FileDataset:
    """Pairs read when asked for, brought to one size and kept in memory as far as there is room."""

    def __init__(
        self,
        *,
        name: str,
        classes: tuple[str, ...],
        colours: tuple[Colour, ...],
        pairs: tuple[FilePair, ...],
        size_hw: tuple[int, int],
        read_label: LabelReader,
    ) -> None:
        self.name, self.classes, self.colours = name, classes, colours
        self.pairs, self.size_hw, self._read_label = pairs, size_hw, read_label
        self._memory = Memory()

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        """Give image (H, W, 3) and label (H, W), both uint8.

        Raises:
            InputError: the files turn out to be broken, or the label holds an unknown value.
            IndexError: outside 0 .. len-1.
        """
        if not 0 <= index < len(self.pairs):
            raise IndexError(index)
        return self._memory.get(index) or self._memory.put(index, self._load(self.pairs[index]))

    def content(self) -> dict[str, str]:
        """See `Dataset`; hashes every label file. Raises InputError for one that cannot be read."""
        pairs = sorted(self.pairs, key=lambda pair: pair.key)
        with ThreadPoolExecutor(READERS) as pool:
            labels = hashlib.sha256(b"".join(pool.map(_digest, (pair.label for pair in pairs))))
        names = hashlib.sha256("\n".join(pair.key for pair in pairs).encode("utf-8", "surrogateescape"))
        size = f"{self.size_hw[0]}x{self.size_hw[1]}"
        return {
            **self._read_label.meaning(self.classes),
            "size": size,
            "files": f"{len(pairs)} files, {names.hexdigest()[:16]}",
            "labels": labels.hexdigest()[:32],
        }

    def _load(self, pair: FilePair) -> Pair:
        image = read_image(pair.image, self.size_hw)
        return image, resize_label(self._read_label(pair.label), self.size_hw)


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error


def check_apart(train: FileDataset, other: FileDataset) -> None:
    """Refuse to score on what was learnt. Raises InputError where the same image file is in both."""
    learnt: set[Path] = {pair.image.resolve() for pair in train.pairs}
    for pair in other.pairs:
        if pair.image.resolve() in learnt:
            raise InputError(pair.image, f"is in both {train.name} and {other.name}")
