"""A look at the headers of all files before any is learnt from; at those of a large data set only once."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from segsearch.data.filedataset import FileDataset
from segsearch.errors import InputError
from segsearch.files import write_atomic
from segsearch.progress import Report, silent
from segsearch.quiet import cache_folder

LARGE = 5000
"""Pairs from which on it is remembered that all headers were sound: reading so many takes seconds."""


def check_headers(datasets: Sequence[FileDataset], report: Report = silent) -> list[InputError]:
    """Say what is wrong with files as far as their headers and ends tell: no images, cut short, two sizes in a pair.

    That nothing was wrong with a large data set is remembered in the cache folder, for these very files: their paths,
    sizes and times. ``report`` is told of every pair that is looked at.
    """
    total = sum(map(len, datasets))
    memory = _memory(datasets) if total >= LARGE else None
    if memory is not None and memory.exists():
        return []
    found, done = list[InputError](), 0
    for dataset in datasets:
        for problems in dataset.headers():
            found += problems
            done += 1
            report("headers of files", done, total)
    if memory is not None and not found:
        with suppress(InputError):  # then they are read again the next time
            write_atomic(memory, "")
    return found


def _memory(datasets: Sequence[FileDataset]) -> Path | None:
    """Return the file whose presence says that these files were sound; None where one of them is not there."""
    digest = hashlib.sha256(os.fsencode(os.getcwd()))  # where relative paths begin
    try:
        for path in _files(datasets):
            told = os.stat(path)
            digest.update(os.fsencode(f"{path}\0{told.st_size}\0{told.st_mtime_ns}\n"))
    except OSError:
        return None
    return cache_folder() / "headers" / digest.hexdigest()[:32]


def _files(datasets: Sequence[FileDataset]) -> Iterator[Path]:
    for dataset in datasets:
        for pair in dataset.pairs:
            yield from (pair.image, pair.label)
