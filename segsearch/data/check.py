"""Reads a whole data set once, so that a broken file is found before a long search and not in the middle of it."""

import numpy as np

from segsearch.data.dataset import IGNORE, Dataset
from segsearch.progress import Report, silent


def check(dataset: Dataset, report: Report | None = None) -> dict[str, int]:
    """Read every image and label.

    Returns:
        Pixels of each class, and of ``ignore``; a class with 0 cannot be learnt or scored here.

    Raises:
        InputError: the first file that cannot be used.
    """
    tell = report or silent
    counts = np.zeros(256, np.int64)
    for index in range(len(dataset)):
        counts += np.bincount(dataset[index][1].ravel(), minlength=256)
        tell(f"checking {dataset.name}", index + 1, len(dataset))
    pixels = {name: int(counts[k]) for k, name in enumerate(dataset.classes)}
    return pixels | {"ignore": int(counts[IGNORE])}
