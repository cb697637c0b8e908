"""CamVid in SegNet's layout: train beside trainannot, val beside valannot; label ids 0 .. 10, 11 is void.

The official validation set is a single clip of 15 frames a second and no sample of the test set. Contiguous blocks cut
from every training sequence represent it better, and a gap keeps near-copies of validated frames out of training.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from segsearch.data.config import CamVidData, Holdout
from segsearch.data.dataset import Splits
from segsearch.data.filedataset import FileDataset
from segsearch.data.labels import IdLabels
from segsearch.data.pairs import Pairing, find_pairs
from segsearch.data.palette import CAMVID_CLASSES, CAMVID_COLOURS
from segsearch.errors import InputError
from segsearch.files import expanded

VOID = 11
_FRAME = re.compile(r"(.*)_\D*(\d+)")


def open_camvid(config: CamVidData, cache: Path | None = None) -> Splits:
    """Open CamVid: learn from and validate on blocks of its training sequences; the official val is only reported.

    Raises:
        InputError: a folder is missing or empty, or the frames cannot be split.
    """
    root = expanded(config.root)
    if not root.is_dir():
        raise InputError(root, "no such folder", "a folder with train, trainannot, val, valannot")
    frames = find_pairs(root, "train", "trainannot")
    train, val = hold_out([Path(pair.key).name for pair in frames.pairs], config.holdout, root / "train")
    held, learnt = ({frames.pairs[i].key for i in part} for part in (val, train))
    return Splits(
        train=_dataset("train", frames.only(lambda pair: pair.key in learnt), config),
        val=_dataset("holdout", Pairing(pairs=frames.only(lambda pair: pair.key in held).pairs), config),
        report=_dataset("val", find_pairs(root, "val", "valannot"), config),
    )


def _dataset(part: str, pairing: Pairing, config: CamVidData) -> FileDataset:
    return FileDataset(
        name=f"camvid/{part}",
        place=expanded(config.root) / ("train" if part == "holdout" else part),
        classes=CAMVID_CLASSES,
        colours=CAMVID_COLOURS,
        pairing=pairing,
        size_hw=config.size,
        read_label=IdLabels(ids=tuple(range(len(CAMVID_CLASSES))), ignore=(VOID,)),
        fit=config.fit,
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
