"""Which label belongs to which image."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segsearch.data.decode import IMAGE_SUFFIXES, LABEL_SUFFIXES, read_size
from segsearch.errors import InputError

_WILD = re.compile(r"[*?]")


@dataclass(frozen=True, kw_only=True)
class FilePair:
    """An image file and its label file; ``key`` is what their names have in common."""

    key: str
    image: Path
    label: Path


def find_pairs(root: Path, images: str, labels: str) -> tuple[FilePair, ...]:
    """Pair the files of two folders, or of two patterns such as ``img/*/*_left.png`` and ``gt/*/*_ids.png``.

    In folders, searched to any depth, partners have the same path but for the suffix; in patterns, ``*`` stands for the
    same text.

    Raises:
        InputError: a folder is missing or empty, a partner is missing on either side, two files share a partner, or the
            sizes of a pair differ.
    """
    found, marked = _collect(root, images, IMAGE_SUFFIXES), _collect(root, labels, LABEL_SUFFIXES)
    _check_partners(found, marked, labels, "label")
    _check_partners(marked, found, images, "image")
    pairs = tuple(FilePair(key=key, image=found[key], label=marked[key]) for key in sorted(found))
    for pair in pairs:
        _check_sizes(pair)
    return pairs


def _collect(root: Path, where: str, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Files of a folder or pattern by key."""
    collected: dict[str, Path] = {}
    for key, path in _matches(root, where) if _WILD.search(where) else _contents(root / where):
        if path.suffix.lower() not in suffixes or path.name.startswith(".") or not path.is_file():
            continue
        if key in collected:
            raise InputError(path, f"and {collected[key].name} would be the same image", "one file per name")
        collected[key] = path
    if not collected:
        raise InputError(root / where, f"holds no {' '.join(suffixes)} files")
    return collected


def _contents(folder: Path) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir():
        raise InputError(folder, "no such folder")
    for path in sorted(_files(folder)):
        yield path.relative_to(folder).with_suffix("").as_posix(), path


def _files(folder: Path) -> Iterator[Path]:
    """All files at any depth; through links, as towns may lie on other disks, and not in hidden folders."""

    def closed(error: OSError) -> None:
        raise InputError(error.filename, f"cannot be read: {error.strerror}") from error

    for here, below, names in os.walk(folder, onerror=closed, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]
        if any(os.path.samefile(here, above) for above in Path(here).parents if above.is_relative_to(folder)):
            below.clear()  # a link to a folder above
            continue
        yield from (Path(here, name) for name in names)


def _matches(root: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    if "**" in pattern or Path(pattern).is_absolute():
        raise InputError(root / pattern, "cannot be searched", "a relative pattern with * and ? inside names")
    pattern = PurePosixPath(pattern).as_posix()  # without ./ and //
    wild = {r"\*": "([^/]*)", r"\?": "([^/])"}
    expression = re.compile(re.sub(r"\\[*?]", lambda m: wild[m[0]], re.escape(pattern)))
    for path in sorted(root.glob(pattern)):
        match = expression.fullmatch(path.relative_to(root).as_posix())
        if match is not None:
            yield "/".join(match.groups()), path


def _check_partners(ours: dict[str, Path], theirs: dict[str, Path], where: str, what: str) -> None:
    alone = sorted(ours.keys() - theirs.keys())
    if alone:
        more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
        raise InputError(ours[alone[0]], f"has no {what} in {where}{more}")


def _check_sizes(pair: FilePair) -> None:
    image, label = read_size(pair.image), read_size(pair.label)
    if image != label:
        seen, marked = f"{image[0]}x{image[1]}", f"{label[0]}x{label[1]} (height x width)"
        turned = ", as its EXIF orientation turns it" if image == label[::-1] else ""
        raise InputError(pair.label, f"is {marked} but its image {pair.image.name} is {seen}{turned}")
