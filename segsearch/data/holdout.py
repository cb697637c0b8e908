"""Stretches of training sequences kept back as search signal.

CamVid's official validation set is a single clip of 15 frames a second and no sample of the test set; contiguous blocks
cut from every training sequence represent it better, and a gap keeps near-copies of validated frames out of training.
"""

import re
from collections.abc import Sequence

from segsearch.data.config import Holdout
from segsearch.errors import InputError

_FRAME = re.compile(r"(.*)_\D*(\d+)")


def hold_out(names: Sequence[str], holdout: Holdout, place: object) -> tuple[list[int], list[int]]:
    """Split frames such as ``0006R0_f00930`` (sequence, then number) into those to learn from and those to validate on.

    Args:
        names: one per frame, without suffix, in any order.
        holdout: number of blocks per sequence, which one validates, and the gap in frames.
        place: what an error names.

    Returns:
        Positions in ``names``: training, validation.

    Raises:
        InputError: a name without a number, or nothing left on one side.
    """
    sequences: dict[str, list[tuple[int, int]]] = {}
    for position, name in enumerate(names):
        match = _FRAME.fullmatch(name)
        if match is None:
            raise InputError(place, f"{name!r} does not end in _ and a frame number, as holding out blocks needs")
        sequences.setdefault(match[1], []).append((int(match[2]), position))
    train: list[int] = []
    val: list[int] = []
    for _, frames in sorted(sequences.items()):
        positions = [position for _, position in sorted(frames)]
        first, last = (len(positions) * k // holdout.blocks for k in (holdout.fold, holdout.fold + 1))
        val += positions[first:last]
        if first == last:  # a sequence shorter than the number of blocks: nothing validated, nothing to keep away from
            train += positions
        else:
            train += positions[: max(0, first - holdout.gap)] + positions[last + holdout.gap :]
    if not train or not val:
        side = "train" if not train else "validate"
        raise InputError(
            place, f"{len(names)} frames in {holdout.blocks} blocks with gap {holdout.gap} leave none to {side} on"
        )
    return train, val
