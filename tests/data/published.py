"""Small trees in the exact layouts that data sets are published in; whatever must not be opened is broken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

HW = (23, 31)
TOWNS = {"train": ("aachen", "bad-honnef"), "val": ("munster",), "train_extra": ("augsburg",), "test": ("berlin",)}


def image(path: Path, size_hw: tuple[int, int] = HW) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def label(path: Path, ids: Sequence[int], size_hw: tuple[int, int] = HW, *, palette: bool = False) -> None:
    """Spread the ids over a label file; in a palette that says something else than the ids."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.fromarray(np.resize(np.array(ids, np.uint8), size_hw))
    if palette:
        made.putpalette([(7 * k + 3) % 256 for k in range(768)])
    made.save(path)


def deep(path: Path, value: int) -> None:
    """A file of 16 bits, as instances are written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(HW, value, np.uint16)).save(path)


def broken(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not to be opened")


def cityscapes(root: Path, *, word: str = "labelIds", ids: Sequence[int] = range(34), coarse: bool = False) -> None:
    for split, towns in TOWNS.items():
        kind = "gtCoarse" if split == "train_extra" else "gtFine"
        if split == "train_extra" and not coarse:
            continue
        for town in towns:
            for frame in ("000000_000019", "000001_000019"):
                taken, marked = root / f"leftImg8bit/{split}/{town}", root / f"{kind}/{split}/{town}"
                if split == "test":
                    broken(taken / f"{town}_{frame}_leftImg8bit.png", marked / f"{town}_{frame}_{kind}_{word}.png")
                    continue
                image(taken / f"{town}_{frame}_leftImg8bit.png")
                label(marked / f"{town}_{frame}_{kind}_{word}.png", ids)
                deep(marked / f"{town}_{frame}_{kind}_instanceIds.png", 26001)
                Image.new("RGBA", HW[::-1]).save(marked / f"{town}_{frame}_{kind}_color.png")
                (marked / f"{town}_{frame}_{kind}_polygons.json").write_text("{}")


def camvid(root: Path) -> None:
    frames = {"train": [f"0001TP_{n:06}" for n in range(6690, 7000, 30)], "val": ["0016E5_07959", "0016E5_07961"]}
    for split, names in frames.items():
        for name in names:
            image(root / split / f"{name}.png")
            label(root / f"{split}annot" / f"{name}.png", range(12))
    broken(root / "test" / "Seq05VD_f00000.png", root / "testannot" / "Seq05VD_f00000.png")
    for split in ("train", "val", "test"):
        (root / f"{split}.txt").write_text(f"/SegNet/CamVid/{split}/a.png /SegNet/CamVid/{split}annot/a.png\n")


CAMVID_FRAMES = {
    "train": [
        *("0001TP_006690", "0001TP_008520", "0016E5_07920", "0016E5_08190"),
        *(f"0006R0_f{number:05}" for number in range(930, 1080, 30)),
    ],
    "val": ["0016E5_07959", "0016E5_08159"],
    "test": ["0001TP_008550", "Seq05VD_f00000"],
}
COLOURS: dict[object, int] = {
    (0, 128, 192): 0, (128, 0, 0): 1, (64, 0, 128): 2, (192, 192, 128): 3, (64, 64, 128): 4, (64, 64, 0): 5,
    (128, 64, 128): 6, (0, 0, 192): 7, (192, 128, 128): 8, (128, 128, 128): 9, (128, 128, 0): 10,
    (0, 0, 0): 255, (128, 0, 192): 255, (64, 128, 192): 255, (192, 192, 0): 255,
}  # fmt: skip


def coloured(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.array(list(COLOURS), np.uint8)[np.arange(HW[0] * HW[1]) % len(COLOURS)]
    Image.fromarray(pixels.reshape(*HW, 3)).save(path)


def camvid_colour(root: Path) -> None:
    for name in CAMVID_FRAMES["train"] + CAMVID_FRAMES["val"]:
        image(root / "701_StillsRaw_full" / f"{name}.png")
        coloured(root / "LabeledApproved_full" / f"{name}_L.png")
    for name in CAMVID_FRAMES["test"]:
        broken(root / "701_StillsRaw_full" / f"{name}.png", root / "LabeledApproved_full" / f"{name}_L.png")
    (root / "label_colors.txt").write_text("64 128 64\tAnimal\n")


def camvid_tree(root: Path) -> None:
    for split in ("train", "val"):
        for name in CAMVID_FRAMES[split]:
            image(root / split / f"{name}.png")
            coloured(root / f"{split}_labels" / f"{name}_L.png")
    for name in CAMVID_FRAMES["test"]:
        broken(root / "test" / f"{name}.png", root / "test_labels" / f"{name}_L.png")
    (root / "class_dict.csv").write_text("name,r,g,b\n")


def ade20k(root: Path, ids: Sequence[int] = range(151)) -> None:
    for folder, split, count in (("training", "train", 4), ("validation", "val", 2)):
        for k in range(1, count + 1):
            size_hw = (20 + k, 35 - 3 * k)
            image(root / f"images/{folder}/ADE_{split}_{k:08}.jpg", size_hw)
            label(root / f"annotations/{folder}/ADE_{split}_{k:08}.png", ids, size_hw)
    broken(root / "images/testing/ADE_test_00000001.jpg")
    (root / "objectInfo150.txt").write_text("Idx\tRatio\tTrain\tVal\tName\n")


def pascal(root: Path, labels: str, lists: str, ids: Sequence[int] = range(60)) -> None:
    names = {"train": ["2008_000008", "2008_000015", "2009_000001"], "val": ["2008_000002"]}
    for split, listed in names.items():
        for name in listed:
            image(root / f"JPEGImages/{name}.jpg")
            label(root / f"{labels}/{name}.png", ids, palette=True)
        path = root / "ImageSets" / lists.format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}\n" for name in listed))
    broken(root / "JPEGImages/2010_009999.jpg")


def pascal_mm(root: Path, ids: Sequence[int] = range(60)) -> None:
    pascal(root, "SegmentationClassContext", "SegmentationContext/{}.txt", ids)


def pascal_paddle(root: Path) -> None:
    pascal(root, "Context", "Segmentation/{}_context.txt")


def mapillary(root: Path, folders: dict[str, Sequence[int]]) -> None:
    keys = {"training": ["-6YsjkdSvLbsoI7iLVhMHw", "_xTsJjiqJtpF7Aq2n6Bp1w"], "validation": ["0daE8mWuFQXKI9eQAs5vHA"]}
    for split, names in keys.items():
        for key in names:
            image(root / split / "images" / f"{key}.jpg")
            for folder, ids in folders.items():
                label(root / split / folder / "labels" / f"{key}.png", ids, palette=True)
                deep(root / split / folder / "instances" / f"{key}.png", 55 * 256 + 3)
    broken(root / "testing" / "images" / "abc.jpg")


def mapillary_old(root: Path) -> None:
    mapillary(root, {"": range(66)})
    (root / "config.json").write_text("{}")


def mapillary_new(root: Path) -> None:
    mapillary(root, {"v1.2": range(66), "v2.0": range(124)})
    (root / "config_v2.0.json").write_text("{}")


@dataclass(frozen=True)
class Tree:
    """A tree, how it is opened, and what must be found: numbers of images, and the class that each id stands for."""

    write: Callable[[Path], None]
    data: dict[str, object]
    counts: tuple[int, int]
    classes: int
    means: dict[object, int]


def one_by_one(ids: Sequence[int], ignored: Sequence[int]) -> dict[object, int]:
    return {**{value: k for k, value in enumerate(ids)}, **dict.fromkeys(ignored, 255)}


CITY = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
VOID_V20 = [2, 31, 38, 79, 86, 96, 115, 123]
MERGED: dict[object, int] = {
    13: 0, 15: 1, 17: 2, 6: 3, 3: 4, 45: 5, 47: 5, 48: 6, 50: 7, 30: 8, 29: 9, 27: 10, 19: 11, 20: 12, 55: 13, 61: 14,
    54: 15, 58: 16, 57: 17, 52: 18, 7: 0, 8: 0, 10: 0, 14: 0, 23: 0, 24: 0, 2: 1, 9: 1, 11: 1, 44: 5, 46: 7, 49: 7,
    21: 12, 22: 12,
}  # fmt: skip
TREES = {
    "cityscapes": Tree(
        cityscapes, {"name": "cityscapes"}, (4, 2), 19, one_by_one(CITY, [k for k in range(34) if k not in CITY])
    ),
    "cityscapes, train ids": Tree(
        lambda root: cityscapes(root, word="labelTrainIds", ids=[*range(19), 255]),
        {"name": "cityscapes"},
        (4, 2),
        19,
        one_by_one(range(19), [255]),
    ),
    "cityscapes, coarse": Tree(
        lambda root: cityscapes(root, coarse=True),
        {"name": "cityscapes", "coarse": True},
        (6, 2),
        19,
        one_by_one(CITY, [k for k in range(34) if k not in CITY]),
    ),
    "camvid": Tree(camvid, {"name": "camvid", "split": "official"}, (11, 2), 11, one_by_one(range(11), [11])),
    "camvid_colour": Tree(camvid_colour, {"name": "camvid_colour", "split": "official"}, (9, 2), 11, COLOURS),
    "camvid_colour, tree": Tree(camvid_tree, {"name": "camvid_colour", "split": "official"}, (9, 2), 11, COLOURS),
    "ade20k": Tree(ade20k, {"name": "ade20k"}, (4, 2), 150, one_by_one(range(1, 151), [0])),
    "pascal_context": Tree(pascal_mm, {"name": "pascal_context"}, (3, 1), 59, one_by_one(range(1, 60), [0])),
    "pascal_context, PaddleSeg": Tree(
        pascal_paddle, {"name": "pascal_context"}, (3, 1), 59, one_by_one(range(1, 60), [0])
    ),
    "mapillary": Tree(mapillary_old, {"name": "mapillary"}, (2, 1), 65, one_by_one(range(65), [65])),
    "mapillary, new zip": Tree(mapillary_new, {"name": "mapillary"}, (2, 1), 65, one_by_one(range(65), [65])),
    "mapillary, v2.0": Tree(
        mapillary_new,
        {"name": "mapillary", "version": "v2.0"},
        (2, 1),
        116,
        one_by_one([k for k in range(124) if k not in VOID_V20], VOID_V20),
    ),
    "mapillary, merged": Tree(
        mapillary_new,
        {"name": "mapillary", "classes": "cityscapes"},
        (2, 1),
        19,
        {**dict.fromkeys(range(66), 255), **MERGED},
    ),
}
