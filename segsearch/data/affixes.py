"""What the names of images and of their labels have around the part that is the same: ``a.jpg``, ``a_mask.png``."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_SEPARATOR = re.compile(r"[_\-. ]")
_MOST_AFTER = 3
"""Words that may stand behind: ``_gtFine_labelIds`` is two."""
_LEAST_SHARE = 0.15
"""Of the names that share an affix: some data sets have a handful of label files for each image."""
_LAST = {"color", "colors", "colour", "colours", "instanceids", "instances", "overlay", "vis", "preview"}
"""Words of label files that are pictures, to be taken where there is nothing else."""


def tokens(name: str) -> list[str]:
    """Split a name at its separators."""
    return [word for word in _SEPARATOR.split(name) if word]


class Affixes(NamedTuple):
    """What stands before and after the part of a name that image and label share."""

    before: str = ""
    after: str = ""

    def __bool__(self) -> bool:
        return bool(self.before or self.after)

    def core(self, path: Path) -> str | None:
        """Give the path, without suffix and affixes; None where it does not have them."""
        stem = path.stem
        if not stem.startswith(self.before) or not stem.endswith(self.after):
            return None
        core = stem[len(self.before) : len(stem) - len(self.after)]
        return (path.parent / core).as_posix() if len(core) > 0 else None


def joint_affixes(images: Sequence[Path], labels: Sequence[Path]) -> tuple[Affixes, Affixes]:
    """Find the affixes of images and of labels without which the most paths, relative to their folders, agree.

    Of several that do equally well, those that are not pictures of labels are taken, and then the shortest.
    """
    seen, marked = ({affixes: _cores(files, affixes) for affixes in _shared(files)} for files in (images, labels))

    def worth(pair: tuple[Affixes, Affixes]) -> tuple[int, int, int]:
        ours, theirs = pair
        pictures = len(_LAST & set(tokens("".join(theirs).lower())))
        return len(seen[ours] & marked[theirs]), -pictures, -len("".join((*ours, *theirs)))

    return max(((ours, theirs) for ours in seen for theirs in marked), key=worth)


def _cores(files: Sequence[Path], affixes: Affixes) -> set[str]:
    return {core for path in files if (core := affixes.core(path)) is not None}


def _shared(files: Sequence[Path]) -> list[Affixes]:
    """Give nothing, and each affix that many of the names have."""
    counts = Counter[Affixes]()
    for path in files:
        cuts = [match.start() for match in _SEPARATOR.finditer(path.stem)]
        counts.update(Affixes(after=path.stem[cut:]) for cut in cuts[-_MOST_AFTER:] if cut)
        counts.update(Affixes(before=path.stem[: cut + 1]) for cut in cuts[:1])
    least = max(1 if len(files) < 4 else 2, _LEAST_SHARE * len(files))
    return [Affixes(), *sorted(affixes for affixes, count in counts.items() if count >= least)]
