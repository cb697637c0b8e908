from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segsearch.data.config import CamVidData, FolderData
from segsearch.data.dataset import IGNORE, Splits
from segsearch.data.filedataset import FileDataset
from segsearch.data.open import open_data
from segsearch.errors import InputError

from .samples import SIZE, read_all, save_image, save_label, write_folder

COLOURS = [[128, 64, 128], [0, 0, 142], [70, 130, 180]]


def opened(path: Path) -> Splits:
    return open_data(FolderData(root=str(path), size=SIZE))


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_all(opened(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def paint_labels(root: Path, colours: list[list[int]]) -> None:
    for path in (root / "labels").rglob("*.png"):
        ids = np.array(Image.open(path))
        Image.fromarray(np.array(colours, np.uint8)[ids]).save(path)


def test_ids_in_folders(tmp_path: Path) -> None:
    splits = opened(write_folder(tmp_path))
    assert (splits.train.classes, len(splits.train), len(splits.val)) == (("road", "car", "sky"), 3, 2)
    assert (splits.train.name, splits.report) == ("set/train", None)
    assert len(set(splits.train.colours)) == 3
    assert np.array_equal(splits.train[1][1], np.array(Image.open(tmp_path / "labels/train/1.png")))


def test_colours_are_mapped_exactly(tmp_path: Path) -> None:
    path = write_folder(tmp_path, encoding="colours", colours=COLOURS)
    expected = np.array(Image.open(tmp_path / "labels/train/1.png"))
    paint_labels(tmp_path, COLOURS)
    splits = opened(path)
    assert np.array_equal(splits.train[1][1], expected)
    assert splits.train.colours == tuple(tuple(c) for c in COLOURS)


def test_an_unknown_colour_is_named_unless_it_is_to_be_ignored(tmp_path: Path) -> None:
    near = [[128, 64, 128], [0, 0, 142], [70, 130, 181]]
    for ignore, line in (([], "and 0 to ignore"), ([[1, 2, 3]], "and 1 to ignore")):
        path = write_folder(tmp_path, encoding="colours", colours=COLOURS, ignore_colours=ignore)
        paint_labels(tmp_path, near)
        assert f"{tmp_path / 'labels/train/0.png'}: label value (70, 130, 181) is no class" in refusal(path)
        assert line in refusal(path)
    for allowed in ([[70, 130, 181]], "others"):
        path = write_folder(tmp_path, encoding="colours", colours=COLOURS, ignore_colours=allowed)
        expected = np.array(Image.open(tmp_path / "labels/train/0.png"))
        paint_labels(tmp_path, near)
        assert np.array_equal(opened(path).train[0][1] == IGNORE, expected == 2)


@pytest.mark.parametrize("written", ["other", [0, 0, 0], 7])
def test_ignored_colours_that_are_none_are_refused_in_words_of_the_file(tmp_path: Path, written: object) -> None:
    path = write_folder(tmp_path, encoding="colours", colours=COLOURS, ignore_colours=written)
    assert f"{path}.ignore_colours: must be others, or a list of colours such as [[0, 0, 0]]" in refusal(path)


def test_a_pattern_may_begin_with_a_dot(tmp_path: Path) -> None:
    where = {
        part: {"images": f"./images//{part}/*.png", "labels": f"./labels/{part}/*.png"} for part in ("train", "val")
    }
    assert len(opened(write_folder(tmp_path, **where)).train) == 3


def test_folders_may_be_links_and_hidden_ones_are_left_out(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "set")
    for kind in ("images", "labels"):
        split = tmp_path / "set" / kind / "train"
        split.rename(tmp_path / kind)
        split.mkdir()
        (split / "ulm").symlink_to(tmp_path / kind)
        (split / "again").symlink_to(split)  # round and round
        (split / ".ipynb_checkpoints").mkdir()
        save_image(split / ".ipynb_checkpoints" / "0-checkpoint.png")
    train = opened(path).train
    assert isinstance(train, FileDataset)
    assert [pair.key for pair in train.pairs] == ["ulm/0", "ulm/1", "ulm/2"]


@pytest.mark.parametrize("root", ["~nobody-of-that-name", "~nobody-of-that-name/set.yaml"])
def test_a_home_that_is_not_there_is_one_line(root: str) -> None:
    for config in (FolderData(root=root, size=SIZE), CamVidData(root=root, size=SIZE)):
        with pytest.raises(InputError, match="there is no such user's home folder .allowed: ~/FOLDER"):
            open_data(config)


def test_patterns_pair_by_what_the_stars_stand_for(tmp_path: Path) -> None:
    for part, town in (("train", "aachen"), ("train", "bremen"), ("val", "ulm")):
        save_image(tmp_path / f"left/{part}/{town}/{town}_1_left.png", len(town))
        save_label(tmp_path / f"gt/{part}/{town}/{town}_1_labelIds.png")
        save_label(tmp_path / f"gt/{part}/{town}/{town}_1_instanceIds.png")
    where = {p: {"images": f"left/{p}/*/*_left.png", "labels": f"gt/{p}/*/*_labelIds.png"} for p in ("train", "val")}
    path = write_folder(tmp_path, **where)
    train = opened(path).train
    assert isinstance(train, FileDataset)
    assert [pair.key for pair in train.pairs] == ["aachen/aachen_1", "bremen/bremen_1"][: len(train)]


def test_nested_folders_pair_by_path(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    save_image(tmp_path / "images/train/deep/0.jpg", 5)
    save_label(tmp_path / "labels/train/deep/0.png")
    assert len(opened(path).train) == 4


def test_own_ids_and_several_to_ignore(tmp_path: Path) -> None:
    path = write_folder(tmp_path, ids=[7, 8, 11], ignore=[0, 1, 2])
    Image.fromarray(np.resize(np.array([7, 8, 11, 0, 2], np.uint8), SIZE)).save(tmp_path / "labels/val/0.png")
    assert opened(path).val[0][1].ravel()[:5].tolist() == [0, 1, 2, IGNORE, IGNORE]


def test_one_id_to_ignore_needs_no_list(tmp_path: Path) -> None:
    path = write_folder(tmp_path, classes=["a", "b"], ignore=2)
    assert (opened(path).train[0][1] == IGNORE).any()


def test_an_unknown_id_is_named(tmp_path: Path) -> None:
    line, label = refusal(write_folder(tmp_path, classes=["road", "car"])), tmp_path / "labels/train/0.png"
    assert line == f"{label}: label value 2 is no class (and 4 more) (allowed: 0..1; to ignore 255)"


def test_report_is_kept_apart(tmp_path: Path) -> None:
    save_image(tmp_path / "images/more/0.png", 77)
    save_label(tmp_path / "labels/more/0.png")
    path = write_folder(tmp_path, report={"images": "images/more", "labels": "labels/more"})
    report = opened(path).report
    assert report is not None and len(report) == 1


def test_scoring_on_what_was_learnt_is_refused(tmp_path: Path) -> None:
    path = write_folder(tmp_path, val={"images": "images/train", "labels": "labels/train"})
    assert "images/train/0.png: is in both set/train and set/val" in refusal(path)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"classes": ["road"]}, "set.yaml.classes: "),
        ({"classes": ["road", "car", "car"]}, "classes must differ, but car stands twice"),
        ({"classes": None}, "set.yaml.classes: is missing"),
        ({"val": None}, "set.yaml.val: is missing"),
        ({"clases": ["a"]}, "set.yaml.clases: unknown key, did you mean 'classes'?"),
        ({"train": {"images": "images/train"}}, "set.yaml.train.labels: is missing"),
        ({"train": {"images": "images/nowhere", "labels": "labels/train"}}, "images/nowhere: no such folder"),
        ({"train": {"images": "images/**/x.png", "labels": "labels/train"}}, "cannot be searched"),
        ({"train": {"images": "images/*.gif", "labels": "labels/train"}}, "holds no image files"),
        ({"ids": [1, 2]}, "ids must be one per class: 3, but got 2"),
        ({"ids": [1, 2, 255], "ignore": [255]}, "id 255 stands for a class and in ignore"),
        ({"ids": [1, 2, 300]}, "set.yaml.ids[2]: "),
        ({"encoding": "colours"}, "encoding: colours needs the list colours"),
        (
            {"encoding": "colors"},
            "set.yaml.encoding: 'colors' is not known, did you mean 'colours'? (allowed: 'ids' or 'colours')",
        ),
        ({"colours": COLOURS[:2]}, "colours must be one per class: 3, but got 2"),
        ({"colours": COLOURS, "ignore_colours": [COLOURS[1]]}, "stands in colours and ignore_colours"),
    ],
)
def test_refusals_of_the_yaml(tmp_path: Path, changes: dict[str, object], line: str) -> None:
    assert line in refusal(write_folder(tmp_path, **changes))


def test_missing_yaml(tmp_path: Path) -> None:
    assert "set.yaml: no such file" in refusal(tmp_path / "set.yaml")
