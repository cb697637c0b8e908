"""Folders of images and labels as people have them, and what is recognised in them."""

from pathlib import Path
from typing import Literal

import pytest

from segsearch.data.affixes import joint_affixes, tokens
from segsearch.data.classes import CAMVID
from segsearch.data.config import CONFIGS, FileData, SizeHW
from segsearch.data.layout import Layout, Where
from segsearch.data.published import LAYOUTS as PUBLISHED
from segsearch.data.recognise import recognise
from segsearch.data.sequences import divide
from segsearch.errors import InputError
from tests.data.samples import save_image, save_label, write_camvid


def write(root: Path, *patterns: str, count: int = 3) -> Path:
    """Files by pattern, of which those that say label, mask, annot, gt or Class are labels; ``{}`` is the number."""
    for pattern in patterns:
        for k in range(count):
            path = root / pattern.format(f"{k:03}")
            marked = any(word in pattern.lower() for word in ("label", "mask", "annot", "gt", "class"))
            save_label(path, 3, k) if marked else save_image(path, k)
    return root


LAYOUTS = {
    "side by side": ("images/{}.jpg", "labels/{}.png"),
    "deep": ("images/a/{}.jpg", "labels/a/{}.png"),
    "split above": ("train/images/{}.png", "train/labels/{}.png", "val/images/{}.png", "val/labels/{}.png"),
    "split below": ("img/train/{}.png", "ann/train/{}_label.png", "img/val/{}.png", "ann/val/{}_label.png"),
    "camvid's words": ("train/{}.png", "trainannot/{}.png", "valid/{}.png", "validannot/{}.png"),
    "voc": ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
    "suffix": ("{}.jpg", "{}_mask.png"),
    "suffix, all png": ("{}.png", "{}_mask.png"),
    "prefix": ("imgs/img_{}.png", "masks/mask_{}.png"),
    "two words": ("leftImg8bit/a/{}_leftImg8bit.png", "gt/a/{}_gtFine_labelIds.png"),
    "stray pictures": ("images/{}.jpg", "labels/{}.png", "{}.png"),
    "pictures of labels": ("images/{}.jpg", "labels/{}_labelIds.png", "labels/{}_label_color.png"),
}


def _number(path: Path) -> str:
    return next(word for word in tokens(path.stem) if word.isdecimal())


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_paired(tmp_path: Path, name: str) -> None:
    found = recognise(write(tmp_path, *LAYOUTS[name]))
    wanted = {"train", "val"} if any("val" in pattern for pattern in LAYOUTS[name]) else {"train"}
    assert found.parts.keys() == wanted
    for part in found.parts.values():
        assert len(part.pairing.pairs) == 3
        assert all(_number(pair.image) == _number(pair.label) for pair in part.pairing.pairs)
    if name == "pictures of labels":
        assert all("color" not in pair.label.name for pair in found.parts["train"].pairing.pairs)


def test_the_folder_of_labels_may_be_given(tmp_path: Path) -> None:
    write(tmp_path, "a/{}.png", "b mask/{}.png")
    assert len(recognise(tmp_path / "a", tmp_path / "b mask").parts["train"].pairing.pairs) == 3
    write(tmp_path, "a2/train/{}.png", "b2 mask/train/{}.png", "a2/val/{}.png", "b2 mask/val/{}.png")
    assert recognise(tmp_path / "a2", tmp_path / "b2 mask").parts.keys() == {"train", "val"}
    write(tmp_path, "c/{}.png", "c/y_label/{}.png")
    assert len(recognise(tmp_path / "c", tmp_path / "c/y_label").parts["train"].pairing.pairs) == 3


class Tiny(FileData):
    """A data set that somebody adds."""

    name: Literal["tiny"] = "tiny"
    size: SizeHW = (32, 32)


@pytest.mark.parametrize(("sign", "known"), [("[0-9]+", True), ("tiny_.*", False)])
def test_a_new_data_set_is_known_by_the_sign_in_its_layout(tmp_path: Path, monkeypatch, sign, known) -> None:
    train, val = (Where(images=f"pictures/{part}", labels=f"marks/{part}") for part in ("train", "val"))
    layout = Layout(classes=CAMVID, sign=sign, train=(train,), val=(val,))
    monkeypatch.setitem(CONFIGS, "tiny", Tiny)
    monkeypatch.setitem(PUBLISHED, "tiny", lambda config: (layout,))
    for folder in ("pictures", "marks"):
        for part in ("train", "val"):
            save_image(tmp_path / folder / part / "000.png", 0)
    if known:
        assert recognise(tmp_path).published == Tiny(root=str(tmp_path.resolve()))
    else:
        with pytest.raises(InputError, match="no labels that are recognised"):
            recognise(tmp_path)


def test_lists_divide_and_test_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "voc", *LAYOUTS["voc"])
    lists = tmp_path / "voc/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("000\n001\n")
    (lists / "val.txt").write_text("002\n")
    found = recognise(tmp_path / "voc")
    assert [len(found.parts[split].pairing.pairs) for split in ("train", "val")] == [2, 1]
    write(tmp_path / "t", "train/images/{}.png", "train/labels/{}.png", "test/images/{}.png", "test/labels/{}.png")
    found = recognise(tmp_path / "t")
    assert found.parts.keys() == {"train"} and found.notes == ("test is left alone",)


def test_published_layouts_are_known_by_their_names_too(tmp_path: Path) -> None:
    camvid = recognise(write_camvid(tmp_path / "camvid", {"0001TP": 12}))
    assert camvid.published is not None and camvid.published.name == "camvid"
    for split in ("train", "val"):
        write(tmp_path / "cs", f"leftImg8bit/{split}/ulm/ulm_{{}}_leftImg8bit.png")
        write(tmp_path / "cs", f"gtFine/{split}/ulm/ulm_{{}}_gtFine_labelIds.png")
        write(tmp_path / "other", f"images/{split}ing/{{}}.jpg".replace("valing", "validation"))
        write(tmp_path / "other", f"annotations/{split}ing/{{}}.png".replace("valing", "validation"))
    cityscapes = recognise(tmp_path / "cs")
    assert cityscapes.published is not None and cityscapes.published.name == "cityscapes"
    other = recognise(tmp_path / "other")  # ADE20K's folders with other files
    assert other.published is None and other.parts.keys() == {"train", "val"}


@pytest.mark.parametrize(
    ("patterns", "problem"),
    [
        ((), "holds no images"),
        (("images/{}.jpg",), "holds 3 images and no labels that are recognised"),
        (("{}.jpg",), "holds 3 images and no labels that are recognised"),
        (("images/{}.jpg", "labels/{}.jpg"), "000.jpg: is a label in a format that may change its values"),
        (("labels/{}.png",), "holds 3 labels and no images"),
        (("mask/x/{}.png", "masks/{}.png"), "holds 6 labels and no images"),
        (("a/images/{}.png", "a/labels/{}.png", "b/images/{}.png", "b/labels/{}.png"), "holds several folders"),
        (("images/a{}.png", "labels/b{}.png"), "has no label in"),
    ],
)
def test_nonsense_is_one_sentence(tmp_path: Path, patterns: tuple[str, ...], problem: str) -> None:
    write(tmp_path, *patterns)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=problem):
        recognise(tmp_path)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "images/{}.png")
    (tmp_path / "empty").mkdir()
    file = tmp_path / "images/000.png"
    for given, problem in (
        ((tmp_path / "gone",), "no such folder"),
        ((file,), "is a file"),
        ((tmp_path / "images", file), "is a file"),
        ((tmp_path / "images", tmp_path / "empty"), "holds no label files"),
    ):
        with pytest.raises(InputError, match=problem):
            recognise(*given)


def test_affixes_are_those_without_which_most_names_agree() -> None:
    def of(images: list[str], labels: list[str]) -> tuple[tuple[str, ...], ...]:
        ours, theirs = joint_affixes([Path(name) for name in images], [Path(name) for name in labels])
        return tuple(ours), tuple(theirs)

    assert of(["a.jpg", "b.jpg"], ["a.png", "b.png"]) == (("", ""), ("", ""))
    assert of(["a.jpg", "b.jpg"], ["a_m.png", "b_m.png"]) == (("", ""), ("", "_m"))
    assert of(["i-1.jpg", "i-2.jpg"], ["l-1.png", "l-2.png"]) == (("i-", ""), ("l-", ""))
    assert of(["a_1.jpg", "a_2.jpg"], ["a_1_x_y.png", "a_2_x_y.png"]) == (("", ""), ("", "_x_y"))


def test_sequences_are_held_out_whole_or_cut_in_two() -> None:
    cities = [f"{city}/{city}_{run:06}_{frame:06}" for city in "abc" for run in range(4) for frame in range(5)]
    learnt, held, words = divide(cities) or ([], [], "")
    assert sorted(learnt + held) == cities and "3 of 12 sequences validate, whole" in words
    assert not {key[:10] for key in learnt} & {key[:10] for key in held}
    two = [f"{name}_{frame:05}" for name in ("0001TP", "0006R0") for frame in range(30)]
    learnt, held, words = divide(two) or ([], [], "")
    assert held == [key for key in two if int(key[-5:]) >= 24] and len(learnt) == 60 - 12 - 4
    assert divide([f"IMG_{k:04}" for k in range(40)]) is None and divide(["a", "b", "c", "d"]) is None
