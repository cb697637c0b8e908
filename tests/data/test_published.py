import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segsearch.data import classes
from segsearch.data.camvid import open_camvid
from segsearch.data.config import CONFIGS, CamVidData, parse_data
from segsearch.data.dataset import Splits, fingerprint
from segsearch.data.filedataset import FileDataset
from segsearch.data.open import OPENERS, find_data, open_data
from segsearch.data.published import LAYOUTS, camvid_split
from segsearch.data.recognise import recognise
from segsearch.data.survey import check_labels, judge, survey
from segsearch.errors import InputError

from . import published
from .camvid_files import camvid_or_skip
from .published import HW, TREES, Tree
from .samples import read_all

ALL = pytest.mark.parametrize("tree", TREES.values(), ids=TREES.keys())


def opened(root: Path, **data: object) -> Splits:
    return open_data(parse_data({"root": str(root), "size": list(HW), "fit": "stretch", **data}, "data"))


def refusal(root: Path, **data: object) -> str:
    with pytest.raises(InputError) as error:
        read_all(opened(root, **data))
    assert "\n" not in str(error.value)
    return str(error.value)


def files(splits: Splits, root: Path) -> list[tuple[str, str]]:
    """Images and labels of all splits, relative to a root."""
    pairs = [pair for _, part in splits.parts() if isinstance(part, FileDataset) for pair in part.pairs]
    return [(os.path.relpath(pair.image, root), os.path.relpath(pair.label, root)) for pair in pairs]


def written(path: Path) -> list[object]:
    """The values of a label file, pixel by pixel, as no reader of ours gives them."""
    stored = np.asarray(Image.open(path))
    flat = stored.reshape(stored.shape[0] * stored.shape[1], -1).tolist()
    return [tuple(pixel) if len(pixel) > 1 else pixel[0] for pixel in flat]


@ALL
def test_every_value_of_every_label_is_its_class_and_nothing_else_is_opened(tree: Tree, tmp_path: Path) -> None:
    tree.write(tmp_path)
    splits = opened(tmp_path, **tree.data)
    assert (len(splits.train), len(splits.val), splits.report) == (*tree.counts, None)
    assert len(splits.train.classes) == len(splits.train.colours) == len(set(splits.train.classes)) == tree.classes
    for _, part in splits.parts():
        assert isinstance(part, FileDataset)
        for k, pair in enumerate(part.pairs):
            label = part.read_label(pair.label)
            assert label.dtype == np.uint8 and part[k][0].shape == (*HW, 3)
            assert label.ravel().tolist() == [tree.means[value] for value in written(pair.label)]
    assert not any(problem for found in survey(splits) for problem in found.problems)
    assert all("test" not in image + label for image, label in files(splits, tmp_path))


@ALL
def test_a_root_one_level_off_is_found(tree: Tree, tmp_path: Path) -> None:
    root = tmp_path / "sets" / "[it]"
    tree.write(root)
    expected = files(opened(root, **tree.data), root)
    inside = [path for path in root.iterdir() if path.is_dir() and "test" not in path.name]
    for other in (root.parent, *inside):
        assert files(opened(other, **tree.data), root) == expected, other


@ALL
def test_missing_partners_are_counted_and_the_first_is_named(tree: Tree, tmp_path: Path) -> None:
    tree.write(tmp_path)
    train = opened(tmp_path, **tree.data).train
    assert isinstance(train, FileDataset)
    half = train.pairs[: len(train) // 2]
    for pair in half:
        pair.label.unlink()
    line = refusal(tmp_path, **tree.data)
    assert line.startswith(f"{half[0].image}: has no label in ")
    assert (f"(and {len(half) - 1} more, all of which" in line) == (len(half) > 1)


@pytest.mark.parametrize("value", [34, 200, 255])
@pytest.mark.parametrize("name", ["cityscapes", "camvid", "ade20k", "pascal_context", "mapillary"])
def test_an_unknown_id_is_refused_with_what_is_known(name: str, value: int, tmp_path: Path) -> None:
    tree = TREES[name]
    tree.write(tmp_path)
    if value in tree.means:  # as ADE20K means 34
        value = 151
    train = opened(tmp_path, **tree.data).train
    assert isinstance(train, FileDataset)
    path = train.pairs[1].label
    pixels = np.array(Image.open(path))
    pixels[3, 4] = value
    Image.fromarray(pixels).save(path)
    assert refusal(tmp_path, **tree.data).startswith(f"{path}: label value {value} is no class (allowed: ")


@ALL
def test_a_folder_is_known_by_what_lies_in_it(tree: Tree, tmp_path: Path) -> None:
    tree.write(tmp_path / "sets")
    for place in (tmp_path / "sets", tmp_path):
        found = find_data(place)
        assert found is not None and found.name == tree.data["name"]
        assert len(open_data(found).train) >= tree.counts[0] - 5  # a holdout, no coarse labels


def test_a_description_wins_over_what_lies_deeper_and_two_sets_are_refused(tmp_path: Path) -> None:
    for name in ("camvid", "cityscapes"):
        TREES[name].write(tmp_path / name)
    with pytest.raises(InputError, match="holds several data sets: camvid, cityscapes"):
        find_data(tmp_path)
    (tmp_path / "mine.yaml").write_text("classes: [a, b]\n")
    found = find_data(tmp_path)
    assert found is not None and found.name == "folder"


def test_what_is_missing_is_named_with_the_nearest_that_is_there(tmp_path: Path) -> None:
    TREES["cityscapes"].write(tmp_path / "city")
    (tmp_path / "city" / "gtFine").rename(tmp_path / "city" / "gtfine")
    if (tmp_path / "city" / "gtFine").exists():
        pytest.skip("this file system does not tell gtFine from gtfine")
    expected = "(allowed: a folder with leftImg8bit/train, gtFine/train, leftImg8bit/val, gtFine/val)"
    city = tmp_path / "city"
    assert refusal(city, name="cityscapes") == f"{city / 'gtFine'}: no such folder, did you mean 'gtfine'? {expected}"
    assert refusal(tmp_path, name="cityscapes") == (
        f"{tmp_path}: holds no such data set; the nearest, {city}, lacks gtFine, did you mean 'gtfine'? {expected}"
    )
    assert refusal(city, name="camvid").startswith(f"{city}: holds no such data set; the nearest, {city}/")
    assert refusal(city, name="ade20k").startswith(f"{city / 'images'}: no such folder (allowed: a folder with images/")
    pascal = tmp_path / "voc"
    published.pascal_mm(pascal)
    (pascal / "ImageSets/SegmentationContext/val.txt").unlink()
    assert f"{pascal / 'ImageSets/SegmentationContext/val.txt'}: no such file" in refusal(pascal, name="pascal_context")
    assert f"{tmp_path / 'nowhere'}: no such folder (allowed: a folder with images/training, annotations/" in refusal(
        tmp_path / "nowhere", name="ade20k"
    )


def test_the_same_data_set_twice_is_not_guessed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        published.camvid(tmp_path / name)
    line = refusal(tmp_path, name="camvid")
    assert line.startswith(f"{tmp_path}: holds the same data set in {tmp_path / 'a'} and {tmp_path / 'b'}")


@pytest.mark.parametrize("coarse", [False, True])
def test_cityscapes_may_lie_in_the_folders_of_its_zip_files(coarse: bool, tmp_path: Path) -> None:
    published.cityscapes(tmp_path / "flat", coarse=True)
    root = tmp_path / "zips"
    for package, folders in {
        "leftImg8bit_trainvaltest/leftImg8bit": ("train", "val", "test"),
        "gtFine_trainvaltest/gtFine": ("train", "val", "test"),
        "leftImg8bit_trainextra/leftImg8bit": ("train_extra",),
        "gtCoarse/gtCoarse": ("train_extra",),
    }.items():
        for folder in folders:
            shutil.copytree(tmp_path / "flat" / package.split("/")[1] / folder, root / package / folder)
    splits = opened(root, name="cityscapes", coarse=coarse)
    assert (len(splits.train), len(splits.val)) == (6 if coarse else 4, 2)
    read_all(splits)


def test_of_both_kinds_of_cityscapes_labels_the_downloaded_one_is_read(tmp_path: Path) -> None:
    published.cityscapes(tmp_path)
    published.cityscapes(tmp_path, word="labelTrainIds", ids=range(19))
    assert all(label.endswith("_labelIds.png") for _, label in files(opened(tmp_path, name="cityscapes"), tmp_path))
    assert fingerprint(opened(tmp_path, name="cityscapes"))["classes"].startswith("road 7, sidewalk 8, building 11")


def test_the_black_image_of_cityscapes_is_left_out(tmp_path: Path) -> None:
    published.cityscapes(tmp_path, coarse=True)
    black = "troisdorf/troisdorf_000000_000073"
    published.broken(tmp_path / f"leftImg8bit/train_extra/{black}_leftImg8bit.png")
    published.label(tmp_path / f"gtCoarse/train_extra/{black}_gtCoarse_labelIds.png", range(34))
    splits = opened(tmp_path, name="cityscapes", coarse=True)
    assert len(splits.train) == 6
    read_all(splits)


def test_camvid_holds_out_blocks_unless_it_is_told_not_to(tmp_path: Path) -> None:
    published.camvid(tmp_path)
    splits = opened(tmp_path, name="camvid")
    assert splits.report is not None
    assert [part.name for _, part in splits.parts()] == ["camvid/train", "camvid/holdout", "camvid/val"]
    assert [len(part) for _, part in splits.parts()] == [7, 2, 2]
    both = opened(tmp_path, name="camvid", split="trainval")
    assert (len(both.train), len(both.val), both.report) == (13, 2, None)
    assert f"{tmp_path / 'val'}: 2 of its images are learnt from, so its scores" in "".join(check_labels(both))
    assert not any("learnt from" in line for line in check_labels(opened(tmp_path, name="camvid", split="official")))
    with pytest.raises(InputError, match="has a holdout, which split: official does not use"):
        opened(tmp_path, name="camvid", split="official", holdout={"fold": 1})
    with pytest.raises(InputError, match="split: 'oficial' is not known, did you mean 'official'"):
        opened(tmp_path, name="camvid", split="oficial")


def test_a_small_published_set_is_not_told_to_write_other_ids(tmp_path: Path) -> None:
    published.camvid(tmp_path)
    for path in tmp_path.glob("*annot/0*.png"):
        published.label(path, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11])
    verdict = judge(survey(opened(tmp_path, name="camvid", split="official")))
    assert "none of its 11 labels shows Bicyclist" in verdict.warned[0] and "YAML" not in "".join(verdict.warned)


def test_lists_divide_the_colour_set_where_they_are(tmp_path: Path) -> None:
    published.camvid_colour(tmp_path)
    (tmp_path / "train.txt").write_text("0001TP_006690\n0016E5_07959.png\n")
    (tmp_path / "val.txt").write_text("0006R0_f00930\n")
    splits = opened(tmp_path, name="camvid_colour", split="official")
    assert (len(splits.train), len(splits.val)) == (2, 1)


def test_the_label_sets_of_camvid_never_mix(tmp_path: Path) -> None:
    published.camvid_tree(tmp_path / "colour")
    published.camvid(tmp_path / "grey")
    assert "trainannot: no such folder (allowed: " in refusal(tmp_path / "colour", name="camvid")
    assert "or with train, train_labels, val, val_labels)" in refusal(tmp_path / "grey", name="camvid_colour")
    for path in (tmp_path / "grey").glob("*annot/0*.png"):
        published.coloured(path)
    assert "holds colours such as (0, 128, 192), not class ids" in refusal(tmp_path / "grey", name="camvid")


@pytest.mark.parametrize("unread", ["trainval_merged.json", "trainval/2008_000002.mat", "train.pth"])
def test_other_preparations_of_pascal_context_are_not_read(unread: str, tmp_path: Path) -> None:
    (tmp_path / "JPEGImages").mkdir()
    published.broken(tmp_path / unread)
    pattern = "trainval/*.mat" if unread.endswith("mat") else unread
    assert refusal(tmp_path, name="pascal_context").startswith(
        f"{tmp_path}: holds {pattern}, a preparation that is not read (allowed: a folder with JPEGImages, Segm"
    )


def test_pascal_labels_that_were_shifted_before_are_not_shifted_again(tmp_path: Path) -> None:
    published.pascal_mm(tmp_path, [*range(59), 255])
    line = refusal(tmp_path, name="pascal_context")
    assert "label value 255 is no class" in line
    assert "(allowed: 1..59; to ignore 0; PNGs shifted to 0..58 and 255 would be read one class off)" in line


def test_only_the_old_labels_of_mapillary_can_be_merged(tmp_path: Path) -> None:
    published.mapillary_new(tmp_path)
    with pytest.raises(InputError, match="classes: cityscapes merges the labels of version v1.2, but got version v2.0"):
        opened(tmp_path, name="mapillary", classes="cityscapes", version="v2.0")
    merged = opened(tmp_path, name="mapillary", classes="cityscapes")
    assert merged.train.classes == classes.CITYSCAPES.names and merged.train.colours == classes.CITYSCAPES.colours
    assert fingerprint(merged)["classes"].startswith("road 13+7+8+10+14+23+24, sidewalk 15+2+9+11, building 17, ")


@pytest.mark.parametrize(
    ("means", "count", "names"),
    [
        (classes.CITYSCAPES, 19, {0: "road", 6: "traffic light", 11: "person", 18: "bicycle"}),
        (classes.CAMVID, 11, {0: "Sky", 10: "Bicyclist"}),
        (classes.CAMVID_COLOUR, 11, {0: "Bicyclist", 10: "Tree"}),
        (classes.ADE20K, 150, {0: "wall", 44: "chest of drawers", 136: "traffic light", 149: "flag"}),
        (classes.PASCAL_CONTEXT, 59, {0: "aeroplane", 36: "person", 58: "wood"}),
        (classes.MAPILLARY_V12, 65, {13: "Road", 45: "Pole", 55: "Car", 64: "Ego Vehicle"}),
        (classes.MAPILLARY_V20, 116, {0: "Bird", 2: "Concrete Block", 115: "Static"}),
    ],
)
def test_tables_of_classes(means: classes.Classes, count: int, names: dict[int, str]) -> None:
    assert len(means.names) == len(means.colours) == len(set(means.names)) == count
    assert {k: means.names[k] for k in names} == names


def test_every_data_set_has_its_places() -> None:
    where = "a data set needs a config class in AnyData, data/config.py, and a row in LAYOUTS, data/published.py"
    assert set(CONFIGS) == {*LAYOUTS, "streets", "folder", "own"}, where
    assert set(OPENERS) == set(CONFIGS), "data/open.py OPENERS says what opens each config class of AnyData"
    written = {tree.data["name"] for tree in TREES.values()}
    assert written == set(LAYOUTS), "TREES in tests/data/published.py writes a small tree of each row of LAYOUTS"


@ALL
def test_every_data_set_is_recognised_where_it_lies(tree: Tree, tmp_path: Path) -> None:
    tree.write(tmp_path)
    found = recognise(tmp_path).published
    assert found is not None and found.name == tree.data["name"]


def test_the_rule_divides_the_real_camvid_as_segnet_did() -> None:
    root = camvid_or_skip()
    splits = open_camvid(CamVidData(root=str(root), split="official"))
    assert (len(splits.train), len(splits.val), splits.report) == (367, 101, None)
    for name, part in splits.parts():
        assert isinstance(part, FileDataset) and {camvid_split(pair.key) for pair in part.pairs} == {name}
    both = open_camvid(CamVidData(root=str(root), split="trainval"))
    assert (len(both.train), len(both.val)) == (468, 101)
