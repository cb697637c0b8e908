"""CamVid in SegNet's layout: train beside trainannot, val beside valannot; label ids 0 .. 10, 11 is void."""

from pathlib import Path

from segsearch.data.config import CamVidData
from segsearch.data.dataset import Splits
from segsearch.data.filedataset import FileDataset
from segsearch.data.holdout import hold_out
from segsearch.data.labels import IdLabels
from segsearch.data.pairs import FilePair, find_pairs
from segsearch.data.palette import CAMVID_CLASSES, CAMVID_COLOURS
from segsearch.errors import InputError
from segsearch.files import expanded

VOID = 11


def open_camvid(config: CamVidData, cache: Path | None = None) -> Splits:
    """Open CamVid: learn from and validate on blocks of its training sequences; the official val is only reported.

    Raises:
        InputError: a folder is missing or empty, a partner is missing, sizes differ, or the frames cannot be split.
    """
    root = expanded(config.root)
    if not root.is_dir():
        raise InputError(root, "no such folder", "a folder with train, trainannot, val, valannot")
    frames = find_pairs(root, "train", "trainannot")
    train, val = hold_out([Path(pair.key).name for pair in frames], config.holdout, root / "train")
    return Splits(
        train=_dataset("train", tuple(frames[i] for i in train), config),
        val=_dataset("holdout", tuple(frames[i] for i in val), config),
        report=_dataset("val", find_pairs(root, "val", "valannot"), config),
    )


def _dataset(part: str, pairs: tuple[FilePair, ...], config: CamVidData) -> FileDataset:
    return FileDataset(
        name=f"camvid/{part}",
        classes=CAMVID_CLASSES,
        colours=CAMVID_COLOURS,
        pairs=pairs,
        size_hw=config.size,
        read_label=IdLabels(ids=tuple(range(len(CAMVID_CLASSES))), ignore=(VOID,)),
    )
