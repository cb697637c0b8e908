"""What of CamVid is learnt and what validates.

The official validation set is a single clip of 15 frames a second and no sample of the test set. Contiguous blocks cut
from every training sequence represent it better, and a gap keeps near-copies of validated frames out of training.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from segsearch.data.config import CamVid, Holdout
from segsearch.data.dataset import Splits
from segsearch.data.pairs import Pairing, joined
from segsearch.data.published import FRAME, dataset, find_published
from segsearch.errors import InputError


def open_camvid(config: CamVid, cache: Path | None = None) -> Splits:
    """Open either label set of CamVid, divided as ``config.split`` says.

    Raises:
        InputError: a folder is missing or empty, or the frames cannot be split.
    """
    placed = find_published(config)
    train, val = placed.pairs("train"), placed.pairs("val")
    make = partial(dataset, config, placed)
    if config.split == "official":
        return Splits(train=make("train", train), val=make("val", val))
    if config.split == "trainval":
        return Splits(train=make("trainval", joined((train, val))), val=make("val", val))
    learnt, held = hold_out([Path(pair.key).name for pair in train.pairs], config.holdout, placed.folder("train"))
    kept = {train.pairs[i].key for i in learnt}
    return Splits(
        train=make("train", train.only(lambda pair: pair.key in kept)),
        val=make("holdout", Pairing(pairs=tuple(train.pairs[i] for i in sorted(held)))),
        report=make("val", val),
    )


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
        match = FRAME.fullmatch(name)
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
