"""Pairs of files as a data set."""

from pathlib import Path

from segsearch.data.dataset import Pair
from segsearch.data.decode import read_image, resize_label
from segsearch.data.labels import LabelReader
from segsearch.data.memory import Memory
from segsearch.data.pairs import FilePair
from segsearch.data.palette import Colour
from segsearch.errors import InputError


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

    def _load(self, pair: FilePair) -> Pair:
        image = read_image(pair.image, self.size_hw)
        return image, resize_label(self._read_label(pair.label), self.size_hw)


def check_apart(train: FileDataset, other: FileDataset) -> None:
    """Refuse to score on what was learnt. Raises InputError where the same image file is in both."""
    learnt: set[Path] = {pair.image.resolve() for pair in train.pairs}
    for pair in other.pairs:
        if pair.image.resolve() in learnt:
            raise InputError(pair.image, f"is in both {train.name} and {other.name}")
