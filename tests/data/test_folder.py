import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segsearch.data.config import CamVidData, FolderData, StreetsData
from segsearch.data.dataset import IGNORE, Splits, fingerprint
from segsearch.data.filedataset import FileDataset
from segsearch.data.open import find_data, open_data
from segsearch.data.pairs import find_pairs
from segsearch.data.survey import survey
from segsearch.errors import InputError
from segsearch.files import write_atomic

from .samples import SIZE, read_all, save_image, save_label, write_camvid, write_folder

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


def test_classes_may_be_called_in_any_language(tmp_path: Path) -> None:
    names = ["пешеход", "پیاده\u200cرو", "歩行者 1"]
    assert opened(write_folder(tmp_path, classes=names)).train.classes == tuple(names)


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
        ({"classes": ["a", "b\nx", "c"]}, r"set.yaml.classes[1]: 'b\nx' holds what cannot be printed in one line"),
        ({"classes": ["a", "b\u0007x", "c"]}, r"set.yaml.classes[1]: 'b\x07x' holds what cannot be printed"),
        ({"classes": ["a", "b", "c\u202ed"]}, r"set.yaml.classes[2]: 'c\u202ed' holds what cannot be printed"),
        ({"classes": ["a", " ", "c"]}, "set.yaml.classes[1]: ' ' is blank"),
        ({"classes": ["a", "  a", "c"]}, "set.yaml.classes[1]: '  a' begins or ends with a blank"),
        ({"classes": ["a", "a\u200d", "c"]}, r"set.yaml.classes[1]: 'a\u200d' begins or ends with a blank"),
        ({"name": "my\ndata"}, r"set.yaml.name: 'my\ndata' holds what cannot be printed"),
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


@pytest.mark.parametrize("patterns", [False, True])
def test_what_is_called_like_an_image_and_is_none_is_named(tmp_path: Path, patterns: bool) -> None:
    where = {p: {"images": f"images/{p}/*.png", "labels": f"labels/{p}/*.png"} for p in ("train", "val")}
    path = write_folder(tmp_path, **(where if patterns else {}))
    image = tmp_path / "images/train/1.png"
    image.unlink()
    image.symlink_to("gone.png")
    line = f"{image}: is a link to 'gone.png', which is not there, so that 1.png has no image"
    assert line in refusal(path)
    (found,) = (
        found
        for found in survey(open_data(FolderData(root=str(path), size=SIZE), check=False))
        if found.skipped or found.problems
    )
    assert found.skipped == () and [str(problem) for problem in found.problems] == [line]
    image.unlink()
    image.mkdir()
    assert f"{image}: is a folder, so that 1.png has no image" in refusal(path)


def test_a_list_that_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "/dev/zero: is no regular file" in refusal(write_folder(tmp_path, train=LISTED | {"list": "/dev/zero"}))


def test_a_listed_link_to_nothing_is_named(tmp_path: Path) -> None:
    path = write_folder(tmp_path, train=LISTED)
    write_list(tmp_path, "0\n1.png\n")
    (tmp_path / "images/train/1.png").unlink()
    (tmp_path / "images/train/1.png").symlink_to("gone.png")
    assert "train.txt:2: '1.png' is a link to 'gone.png', which is not there" in refusal(path)


def test_missing_yaml(tmp_path: Path) -> None:
    assert "set.yaml: no such file" in refusal(tmp_path / "set.yaml")


@pytest.mark.parametrize(
    "name",
    [
        "[2024] cam",
        "{a,b}",
        "a*",
        "a?c",
        "**",
        "two words",
        "Überläufe",
        "映像",
        "-dash",
        "a.b",
        "#1",
        "100%",
        "!x",
        "a'b",
    ],
)
@pytest.mark.parametrize("patterns", [False, True])
def test_folders_may_be_called_anything(tmp_path: Path, name: str, patterns: bool) -> None:
    if patterns and name == "**":
        pytest.skip("refused in patterns")
    ends = ("/*.png", "/*.png") if patterns else ("", "")
    where = {
        part: {"images": f"{name}/images/{part}{ends[0]}", "labels": f"{name}/labels/{part}{ends[1]}"}
        for part in ("train", "val")
    }
    path = write_folder(tmp_path, **where)
    (tmp_path / name).mkdir()
    for kind in ("images", "labels"):
        (tmp_path / kind).rename(tmp_path / name / kind)
        for file in (tmp_path / name / kind).rglob("*.png"):
            file.rename(file.with_name(f"{file.stem} {name}.png"))
    train = opened(path).train
    assert isinstance(train, FileDataset)
    assert [pair.key for pair in train.pairs] == [f"{k} {name}" for k in range(3)]
    assert train[0][0].shape == (*SIZE, 3)


def test_signs_in_a_pattern_stand_for_themselves(tmp_path: Path) -> None:
    for name in ("a[1]", "a1", "a+b", "aab"):
        save_image(tmp_path / f"left/{name}_l.png")
        save_label(tmp_path / f"gt/{name}_g.png")
    for pattern, keys in (("a[1]", ["a[1]"]), ("a[*", ["a[1]"]), ("a+?", ["a+b"]), ("a?", ["a1"])):
        part = {"images": f"left/{pattern}_l.png", "labels": f"gt/{pattern}_g.png"}
        found = find_pairs(tmp_path, part["images"], part["labels"]) if "*" in pattern or "?" in pattern else None
        if found is not None:
            assert [pair.image.name.removesuffix("_l.png") for pair in found.pairs] == keys


def test_whole_paths_and_those_of_a_home_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_folder(tmp_path / "data")
    monkeypatch.setenv("HOME", str(tmp_path / "data"))
    for start in (str(tmp_path / "data"), "~"):
        for end in ("", "/*.png"):
            where = {
                p: {"images": f"{start}/images/{p}{end}", "labels": f"{start}/labels/{p}{end}"}
                for p in ("train", "val")
            }
            (tmp_path / "elsewhere").mkdir(exist_ok=True)
            other = write_folder(tmp_path / "elsewhere", **where)
            splits = opened(other)
            assert isinstance(splits.train, FileDataset)
            assert splits.train.pairs[0].image == tmp_path / "data/images/train/0.png"
    assert path.is_file()


LISTED = {"images": "images/train", "labels": "labels/train", "list": "splits/train.txt"}


def write_list(root: Path, text: str | bytes) -> Path:
    path = root / "splits" / "train.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "0\n2\n",
        "0.png\n2.png",
        "\ufeff# those of May\r\n\r\n2.png\r\n  ./0  \r\n",
        "images/train/2.png\nimages/train/0\n",
    ],
)
def test_a_list_names_the_images_of_a_split(tmp_path: Path, text: str) -> None:
    path = write_folder(tmp_path, train=LISTED)
    write_list(tmp_path, text)
    (tmp_path / "labels/train/1.png").unlink()  # not listed, so not missed
    train = opened(path).train
    assert isinstance(train, FileDataset) and [pair.key for pair in train.pairs] == ["0", "2"]


def test_a_list_names_files_that_are_not_utf_8_as_we_write_them(tmp_path: Path) -> None:
    path = write_folder(tmp_path, train=LISTED)
    for folder in ("images", "labels"):
        (tmp_path / folder / "train/1.png").rename(tmp_path / folder / "train" / os.fsdecode(b"a\xff.png"))
    (tmp_path / "splits").mkdir()
    write_atomic(tmp_path / "splits/train.txt", os.fsdecode(b"0\na\xff\n"))
    assert keys(opened(path))[0] == ["0", os.fsdecode(b"a\xff")]


def test_two_lists_divide_one_folder_and_names_may_hold_blanks_and_folders(tmp_path: Path) -> None:
    names = ["ulm/a b", "ulm/#c", "köln/ü"]
    for k, name in enumerate(names):
        save_image(tmp_path / f"img/{name}.png", k)
        save_label(tmp_path / f"gt/{name}.png")
    (tmp_path / "train.txt").write_text("ulm/a b\nköln/ü.png\n", encoding="utf-8")
    (tmp_path / "val.txt").write_text("ulm/#c\n", encoding="utf-8")
    for images, labels in (("img", "gt"), ("img/*/*.png", "gt/*/*.png")):
        where = {p: {"images": images, "labels": labels, "list": f"{p}.txt"} for p in ("train", "val")}
        splits = opened(write_folder(tmp_path, **where))
        assert isinstance(splits.train, FileDataset) and isinstance(splits.val, FileDataset)
        assert [pair.key for pair in splits.train.pairs] == ["köln/ü", "ulm/a b"]
        assert [pair.key for pair in splits.val.pairs] == ["ulm/#c"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0\n7\n8", r"train\.txt:2: '7' is no image of images/train \(and 1 more\) \(allowed: one name a line"),
        ("0\n\n0.png", r"train\.txt:3: '0\.png' stands in line 1, too"),
        ("0.png 0.png", r"train\.txt:1: '0\.png 0\.png' is no image of"),
        ("# nothing\n", r"train\.txt: names no images"),
        (b"\xff\xfe0", r"train\.txt: is not a text file in UTF-8"),
        (None, r"train\.txt: cannot be read: No such file"),
    ],
)
def test_lists_that_do_not_hold_are_refused(tmp_path: Path, text: str | bytes | None, line: str) -> None:
    path = write_folder(tmp_path, train=LISTED)
    if text is not None:
        write_list(tmp_path, text)
    assert re.search(line, refusal(path))


def keys(splits: Splits) -> tuple[list[str], list[str]]:
    assert isinstance(splits.train, FileDataset) and isinstance(splits.val, FileDataset)
    return [pair.key for pair in splits.train.pairs], [pair.key for pair in splits.val.pairs]


def test_a_share_of_train_is_held_out_by_name(tmp_path: Path) -> None:
    for k in range(20):
        save_image(tmp_path / f"images/train/{k:02}.png", k)
        save_label(tmp_path / f"labels/train/{k:02}.png")
    path = write_folder(tmp_path, val={"fraction": 0.25})
    for k in range(3):
        (tmp_path / f"images/train/{k}.png").unlink()
        (tmp_path / f"labels/train/{k}.png").unlink()
    train, val = keys(opened(path))
    assert len(val) == 5 and sorted(train + val) == [f"{k:02}" for k in range(20)]
    elsewhere = tmp_path / "moved"
    shutil.copytree(tmp_path / "images", elsewhere / "images")
    shutil.copytree(tmp_path / "labels", elsewhere / "labels")
    shutil.copy(path, elsewhere)
    assert keys(opened(elsewhere / path.name)) == (train, val)
    path.write_text(path.read_text().replace("fraction: 0.25", "fraction: 0.25\n  seed: 1"))
    assert keys(opened(path)) != (train, val)
    save_image(tmp_path / "images/train/new.png", 90)
    save_label(tmp_path / "labels/train/new.png")
    path.write_text(path.read_text().replace("seed: 1", "seed: 0"))
    assert len({*keys(opened(path))[1]} & {*val}) >= 4, "a new file moves at most one to the other side"


@pytest.mark.parametrize(
    ("val", "line"),
    [
        ({"fraction": 0}, "set.yaml.val.fraction: should be greater than 0"),
        ({"fraction": 1}, "set.yaml.val.fraction: should be less than 1"),
        ({"fraction": 0.2, "images": "x"}, "set.yaml.val: has both images and fraction"),
        ({"images": "x"}, "set.yaml.val: needs images and labels, or the fraction of train to hold out"),
        ({"images": "x", "labels": "y", "seed": 3}, "set.yaml.val: has a seed, which is only for fraction"),
        ({"fractoin": 0.2}, "set.yaml.val.fractoin: unknown key, did you mean 'fraction'?"),
    ],
)
def test_what_val_may_not_be(tmp_path: Path, val: object, line: str) -> None:
    assert line in refusal(write_folder(tmp_path, val=val))


def test_one_image_cannot_be_divided(tmp_path: Path) -> None:
    path = write_folder(tmp_path, val={"fraction": 0.9})
    assert [len(part) for part in keys(opened(path))] == [1, 2], "one at least stays on either side"
    for k in (1, 2):
        (tmp_path / f"images/train/{k}.png").unlink()
        (tmp_path / f"labels/train/{k}.png").unlink()
    assert "val.fraction: 1 images cannot be divided" in refusal(path)


def test_the_palette_of_labels_gives_the_colours_of_pictures(tmp_path: Path) -> None:
    path = write_folder(tmp_path, ids=[0, 2, 1])
    plain = opened(path).train.colours

    def save(palette: list[int]) -> tuple[tuple[int, int, int], ...]:
        for label in (tmp_path / "labels").rglob("*.png"):
            ids = np.array(Image.open(label))
            picture = Image.new("P", SIZE[::-1])
            picture.putpalette(palette)
            picture.putdata(ids.ravel().tolist())
            picture.save(label)
        return opened(path).train.colours

    assert save([0, 0, 0, 10, 20, 30, 200, 0, 0]) == ((0, 0, 0), (200, 0, 0), (10, 20, 30))
    assert save([k for value in range(256) for k in (value,) * 3]) == plain, "a grey ramp shows nothing"
    assert save([9, 0, 0] * 256) == plain, "one colour for two classes"
    assert save([0, 0, 0, 10, 20, 30]) == plain, "a class without colour"
    given = write_folder(tmp_path, ids=[0, 2, 1], colours=COLOURS)
    assert opened(given).train.colours == tuple(map(tuple, COLOURS))


def test_images_of_another_shape_are_stretched_or_padded(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    Image.fromarray(np.full((50, 20, 3), 200, np.uint8)).save(tmp_path / "images/train/0.png")
    Image.fromarray(np.full((50, 20), 1, np.uint8)).save(tmp_path / "labels/train/0.png")
    stretched = opened(path).train[0]
    assert (stretched[0] == 200).all() and (stretched[1] == 1).all()
    splits = open_data(FolderData(root=str(path), size=SIZE, fit="pad"))
    image, label = splits.train[0]
    assert image.shape == (*SIZE, 3) and label.shape == SIZE
    assert np.array_equal(label == IGNORE, (image != 200).any(2)) and 0.2 < (label == 1).mean() < 0.5
    one, other = fingerprint(opened(path)), fingerprint(splits)
    assert {key for key in one if one[key] != other[key]} == {"size"}
    assert FolderData(root="x", size=SIZE).id == FolderData(root="x", size=SIZE, fit="stretch").id


def test_every_lossless_format_may_be_a_label_and_any_an_image(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    expected = [np.array(Image.open(tmp_path / f"labels/train/{k}.png")) for k in range(3)]
    for k, (image, label) in enumerate((("webp", "tif"), ("TIFF", "bmp"), ("jfif", "png"))):
        for folder, suffix in (("images", image), ("labels", label)):
            file = tmp_path / folder / "train" / f"{k}.png"
            picture = Image.open(file)
            picture.load()
            file.unlink()
            picture.save(file.with_suffix(f".{suffix}"), {"jfif": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
    train = opened(path).train
    assert all(np.array_equal(train[k][1], expected[k]) for k in range(3))
    (tmp_path / "labels/train/2.png").rename(tmp_path / "labels/train/2.jpg")
    assert "images/train/2.jfif: has no label in labels/train" in refusal(path)


def test_a_data_set_can_be_sent_to_another_process(tmp_path: Path) -> None:
    train = opened(write_folder(tmp_path)).train
    sent = pickle.loads(pickle.dumps(train))
    assert np.array_equal(sent[1][1], train[1][1]) and sent.content() == train.content()


def test_a_data_set_is_found_by_its_file_or_folder(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "a")
    (tmp_path / "a" / "study.yaml").write_text("name: x\ndata: {name: folder, root: set.yaml}\n")
    for place in (path, tmp_path / "a"):
        found = find_data(place)
        assert isinstance(found, FolderData) and Path(found.root) == path
    camvid = find_data(write_camvid(tmp_path / "b", {"0001TP": 11}))
    assert isinstance(camvid, CamVidData) and camvid.size == (360, 480)
    (tmp_path / "c.yaml").write_text("name: streets\nsize: [32, 48]\n")
    assert find_data(tmp_path / "c.yaml") == StreetsData(size=(32, 48))
    assert find_data(tmp_path / "a" / "study.yaml") is None and find_data(tmp_path / "nowhere") is None
    with pytest.raises(InputError, match="b2: holds no known data set"):
        (tmp_path / "b2").mkdir()
        find_data(tmp_path / "b2")
    shutil.copy(path, path.with_name("more.yml"))
    with pytest.raises(InputError, match=r"holds several data sets: more\.yml, set\.yaml"):
        find_data(tmp_path / "a")
