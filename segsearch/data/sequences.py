"""Images to validate on, where names tell that images are frames: neighbours show nearly the same picture."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence

SHARE = 0.2
"""Of the images, to validate on."""
_GAP = 2
"""Frames either side of a stretch to validate on that are not learnt from."""
_LEAST_TO_GAP = 10
"""Frames of a sequence for each that is left out."""
_LEAST_FRAMES = 4
"""Of a sequence, on the average: fewer are no sequence."""
_FEW = 5
"""Fewer sequences than these are each cut in two; of more, some are held out whole."""
_NUMBER = re.compile(r"\d{2,}")

Division = tuple[list[str], list[str], str]
"""Keys to learn from, keys to validate on, and in words how they were told apart."""


def divide(keys: Sequence[str]) -> Division | None:
    """Divide images by sequence, such as ``0001TP`` of ``0001TP_006690`` or ``aachen_000000`` of its frames.

    Args:
        keys: names of the images, without suffix, with their folders.

    Returns:
        None where names tell of no sequences, or of one only.
    """
    for sequence in (_before_number(1), _before_number(2), _folder):
        groups: dict[str, list[str]] = {}
        for key in sorted(keys):
            groups.setdefault(sequence(key), []).append(key)
        if len(groups) > 1 and len(keys) >= _LEAST_FRAMES * len(groups):
            return (_whole(groups, len(keys)) if len(groups) >= _FEW else None) or _stretches(groups)
    return None


def _before_number(count: int) -> Callable[[str], str]:
    """Give what stands before the last, or the last but one, number of a name."""

    def sequence(key: str) -> str:
        folder, _, name = key.rpartition("/")
        numbers = list(_NUMBER.finditer(name))
        return f"{folder}/{name[: numbers[-count].start()] if len(numbers) >= count else name}"

    return sequence


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _whole(groups: dict[str, list[str]], total: int) -> Division | None:
    """Hold out whole sequences, drawn by hashes of their names; None where all are too long."""
    held = set[str]()
    size, most = 0, 1.25 * SHARE * total
    for name in sorted(groups, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()):
        if size < SHARE * total and size + len(groups[name]) <= most:
            held.add(name)
            size += len(groups[name])
    if size < 0.5 * SHARE * total:
        return None
    words = f"{len(held)} of {len(groups)} sequences validate, whole"
    return _keys(groups, (name for name in groups if name not in held)), _keys(groups, held), words


def _keys(groups: dict[str, list[str]], names: Iterable[str]) -> list[str]:
    return sorted(key for name in names for key in groups[name])


def _stretches(groups: dict[str, list[str]]) -> Division:
    """Hold out the last stretch of each sequence, and leave a gap before it."""
    learnt, held = list[str](), list[str]()
    for keys in groups.values():
        first = len(keys) - max(1, round(SHARE * len(keys)))
        held += keys[first:]
        learnt += keys[: first - min(_GAP, len(keys) // _LEAST_TO_GAP)]
    gap = len(held) + len(learnt) < sum(map(len, groups.values()))
    words = f"the last fifth of each of {len(groups)} sequences validates"
    words += f", {_GAP} frames before it are left out" if gap else ""
    return learnt, held, words
