"""Pairs of files as a data set."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from segsearch.data.dataset import IGNORE, Dataset, Memory, Pair
from segsearch.data.decode import check_whole, read_size
from segsearch.data.labels import LabelReader, Tally
from segsearch.data.pairs import FilePair, Pairing, refuse_inside
from segsearch.data.palette import Colour
from segsearch.deployment.images import Fit, read_image, resize_image, resize_label
from segsearch.errors import InputError

READERS = 4
"""Threads that read files: Pillow decodes without Python's lock."""

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one pair of files holds: its label's values, and what is wrong with the files."""

    tally: Tally | None
    problems: tuple[InputError, ...]


class FileDataset:
    """Pairs read when asked for, brought to one size and kept in memory as far as there is room.

    Attributes:
        name: for people: ``camvid/train``.
        native_labels: labels keep their own size, as scores are counted there; set before the first pair is read.
        place: the file or folder that errors name.
        problems: what keeps files from being used, as far as their names tell.
        skipped: files that are neither images nor labels.
        searched: folders in which every image is taken for data, those of the other splits included.
    """

    def __init__(
        self,
        *,
        name: str,
        place: object,
        classes: tuple[str, ...],
        colours: tuple[Colour, ...],
        pairing: Pairing,
        size_hw: tuple[int, int],
        read_label: LabelReader,
        fit: Fit = "stretch",
    ) -> None:
        self.name, self.place, self.classes, self.colours = name, str(place), classes, colours
        self.pairs, self.problems, self.skipped = pairing.pairs, pairing.problems, pairing.skipped
        self.searched = pairing.searched
        self.size_hw, self.fit, self.read_label = size_hw, fit, read_label
        self.native_labels = False
        self._memory = Memory()

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        """Give image (H, W, 3) and label, both uint8; the label is (H, W), or of its own size, see `native_labels`.

        Raises:
            InputError: the files turn out to be broken, or the label holds an unknown value.
            IndexError: outside 0 .. len-1.
        """
        if not 0 <= index < len(self.pairs):
            raise IndexError(index)
        return self._memory.get(index) or self._memory.put(index, self._load(self.pairs[index]))

    def _load(self, pair: FilePair) -> Pair:
        image = resize_image(read_image(pair.image, deep=False), self.size_hw, self.fit)
        label = self.read_label(pair.label)
        return image, label if self.native_labels else resize_label(label, self.size_hw, self.fit, IGNORE)

    def content(self) -> dict[str, str]:
        """See `Dataset`; hashes every label file. Raises InputError for one that cannot be read."""
        pairs = sorted(self.pairs, key=lambda pair: pair.key)
        labels = hashlib.sha256(b"".join(in_threads(_digest, (pair.label for pair in pairs))))
        names = hashlib.sha256(b"\n".join(os.fsencode(pair.key) for pair in pairs))
        size = f"{self.size_hw[0]}x{self.size_hw[1]}"
        found = {
            **self.read_label.meaning(self.classes),
            "size": size if self.fit == "stretch" else f"{size}, {self.fit}",
            "files": f"{len(pairs)} files, {names.hexdigest()[:16]}",
            "labels": labels.hexdigest()[:32],
        }
        # left out where it changes nothing, so that older studies of such data go on
        if self.native_labels and {read_size(pair.label) for pair in pairs} != {self.size_hw}:
            found["scored"] = "at the labels' own size"
        return found

    def look(self, index: int) -> Look:
        """Read both files of a pair at their own size, and say all that is wrong with them."""
        pair = self.pairs[index]
        marked, size_hw = self.look_at_label(index), None
        problems = list(marked.problems)
        try:
            shape = read_image(pair.image, deep=False).shape
            size_hw = (shape[0], shape[1])
        except InputError as error:
            problems.append(error)
        if marked.tally is not None and size_hw is not None:
            problems += _differing(pair, size_hw, marked.tally.size_hw)
        return Look(tally=marked.tally, problems=tuple(problems))

    def look_at_label(self, index: int) -> Look:
        """Read the label of a pair at its own size."""
        path = self.pairs[index].label
        try:
            tally = self.read_label.tally(path)
        except InputError as error:
            return Look(tally=None, problems=(error,))
        unknown = list(tally.unknown)
        return Look(tally=tally, problems=(self.read_label.refusal(path, unknown),) if unknown else ())

    def headers(self) -> Iterator[list[InputError]]:
        """Say of each pair what is wrong with it as far as headers and ends tell: no image, a cut one, or two sizes."""
        yield from in_threads(_check_headers, self.pairs)


def in_threads(call: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """Give ``call`` of each item, in order, several at a time."""
    with ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(call, items)


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error


def _check_headers(pair: FilePair) -> list[InputError]:
    try:
        sizes = read_size(pair.image), read_size(pair.label)
        for path in (pair.image, pair.label):
            check_whole(path)
    except InputError as error:
        return [error]
    return _differing(pair, *sizes)


def _differing(pair: FilePair, image: tuple[int, int], label: tuple[int, int]) -> list[InputError]:
    if image == label:
        return []
    seen, marked = f"{image[0]}x{image[1]}", f"{label[0]}x{label[1]} (height x width)"
    turned = ", as its EXIF orientation turns it" if image == label[::-1] else ""
    return [InputError(pair.label, f"is {marked} but its image {pair.image.name} is {seen}{turned}")]


def keep_out(out: Path, datasets: Iterable[Dataset]) -> None:
    """Raise InputError where results in the folder ``out`` would be taken for images or labels of the data."""
    refuse_inside(out, [folder for data in datasets if isinstance(data, FileDataset) for folder in data.searched])


def apart(train: FileDataset, other: FileDataset) -> tuple[InputError, ...]:
    """Say which image files are both learnt from and scored on."""
    learnt = {pair.image.resolve() for pair in train.pairs}
    return tuple(
        InputError(pair.image, f"is in both {train.name} and {other.name}")
        for pair in other.pairs
        if pair.image.resolve() in learnt
    )
