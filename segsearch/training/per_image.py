"""What a network scores on each image: pixels per class, from which the mIoU on any choice of the images follows."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segsearch.data.dataset import Dataset
from segsearch.data.filedataset import FileDataset
from segsearch.errors import InputError
from segsearch.files import write_atomic

HIT, UNION = "hit ", "union "
"""Before a class's name, in the head of a file."""


@dataclass(frozen=True, kw_only=True)
class PerImage:
    """Pixels of each image of a split.

    Attributes:
        images: N names, or their numbers where they have none.
        classes: K names.
        hits: int64 N, K: pixels of a class that are predicted as that class.
        unions: int64 N, K: pixels that are labelled or predicted as it.
    """

    images: tuple[str, ...]
    classes: tuple[str, ...]
    hits: NDArray[np.int64]
    unions: NDArray[np.int64]

    @classmethod
    def of(cls, dataset: Dataset, hits: NDArray[np.int64], unions: NDArray[np.int64]) -> Self:
        """Name what was counted on a data set."""
        if isinstance(dataset, FileDataset):
            names = tuple(pair.key for pair in dataset.pairs)
        else:
            names = tuple(map(str, range(len(dataset))))
        return cls(images=names, classes=dataset.classes, hits=hits, unions=unions)

    def write(self, path: Path) -> None:
        """Write a CSV file with a line per image. Raises InputError where it cannot be written."""
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(["image", *(HIT + name for name in self.classes), *(UNION + name for name in self.classes)])
        for name, hits, unions in zip(self.images, self.hits.tolist(), self.unions.tolist(), strict=True):
            lines.writerow([name, *hits, *unions])
        write_atomic(path, text.getvalue())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote. Raises InputError where it is something else."""
        try:
            head, *rows = csv.reader(path.read_text("utf-8").splitlines())
            classes = [name.removeprefix(HIT) for name in head[1:] if name.startswith(HIT)]
            counts = np.array([row[1:] for row in rows], dtype=np.int64).reshape(len(rows), 2, len(classes))
        except (OSError, ValueError) as error:
            raise InputError(path, f"is no file of scores per image: {error}") from error
        return cls(images=tuple(row[0] for row in rows), classes=tuple(classes), hits=counts[:, 0], unions=counts[:, 1])
