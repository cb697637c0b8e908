from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segsearch.data.config import CamVidData, Holdout
from segsearch.data.dataset import IGNORE, Dataset
from segsearch.data.filedataset import FileDataset
from segsearch.data.open import open_data
from segsearch.data.survey import survey
from segsearch.errors import InputError

from .camvid_files import camvid_or_skip
from .samples import SIZE, read_all, save_image, save_label, write_camvid


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_camvid(tmp_path / "camvid", {"0001TP": 11, "0006R0": 7})


def refusal(root: Path) -> str:
    with pytest.raises(InputError) as error:
        splits = open_data(CamVidData(root=str(root), size=SIZE))
        read_all(splits)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_blocks_of_train_steer_and_official_val_is_only_reported(root: Path) -> None:
    splits = open_data(CamVidData(root=str(root), size=(20, 30)))
    assert splits.report is not None
    assert [len(part) for part in (splits.train, splits.val, splits.report)] == [18 - 3 - 4, 3, 3]
    image, label = splits.train[0]
    assert isinstance(splits.train, Dataset)
    assert image.shape == (20, 30, 3) and label.shape == (20, 30)
    assert {path.name for path in keys(splits.train)} & {path.name for path in keys(splits.val)} == set()


def keys(dataset: Dataset) -> set[Path]:
    assert isinstance(dataset, FileDataset)
    return {pair.image for pair in dataset.pairs}


def test_void_is_ignored_and_pixels_are_counted(root: Path) -> None:
    splits = open_data(CamVidData(root=str(root), size=SIZE))
    assert isinstance(splits.train, FileDataset)
    stored = np.array(Image.open(splits.train.pairs[0].label))
    label = splits.train[0][1]
    assert np.array_equal(label == IGNORE, stored == 11)
    assert np.array_equal(label[stored < 11], stored[stored < 11])
    told: list[tuple[str, int, int]] = []
    train, val, report = survey(splits, lambda *step: told.append(step))
    assert sum(val.pixels) + val.ignored["11"] == len(splits.val) * SIZE[0] * SIZE[1] and len(val.pixels) == 11
    assert val.images[0] == 3 and (train.part, report.part) == ("train", "report")
    assert ("val", 3, 3) in told


def test_images_may_be_jpeg(root: Path) -> None:
    path = next((root / "train").iterdir())
    Image.open(path).save(path.with_suffix(".JPG"), "JPEG")
    path.unlink()
    assert len(open_data(CamVidData(root=str(root), size=SIZE)).train) == 11


def test_missing_root_and_folders(root: Path, tmp_path: Path) -> None:
    assert "nowhere: no such folder (allowed: a folder with train, trainannot, val, valannot)" in refusal(
        tmp_path / "nowhere"
    )
    (root / "valannot").rename(root / "elsewhere")
    assert f"{root / 'valannot'}: no such folder" in refusal(root)


def test_empty_folder(root: Path) -> None:
    for path in (root / "val").iterdir():
        path.unlink()
    assert f"{root / 'val'}: holds no image files (allowed: .jpg, " in refusal(root)


@pytest.mark.parametrize(("alone", "other", "what"), [("train", "trainannot", "label"), ("valannot", "val", "image")])
def test_a_missing_partner_on_either_side_is_named(root: Path, alone: str, other: str, what: str) -> None:
    name = sorted((root / alone).iterdir())[1].name
    (root / other / name).unlink()
    assert refusal(root) == f"{root / alone / name}: has no {what} in {other}"


def test_two_images_of_one_name(root: Path) -> None:
    save_image(root / "train" / "0001TP_000100.jpg")
    assert "would be the same image" in refusal(root)


def test_sizes_differ(root: Path) -> None:
    save_label(root / "trainannot" / "0001TP_000100.png", size_hw=(24, 30))
    assert "0001TP_000100.png: is 24x30 (height x width) but its image 0001TP_000100.png is 24x32" in refusal(root)


def test_a_turned_image_is_told_apart_from_a_wrong_size(root: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", SIZE[::-1]).save(root / "train" / "0001TP_000100.png", exif=exif)
    assert "is 32x24, as its EXIF orientation turns it" in refusal(root)


def test_an_unknown_id_is_named_with_what_is_allowed(root: Path) -> None:
    path = root / "trainannot" / "0006R0_000130.png"
    ids = np.array(Image.open(path))
    ids[3, 3] = 42
    Image.fromarray(ids).save(path)
    assert refusal(root) == f"{path}: label value 42 is no class (allowed: 0..10; to ignore 11)"


@pytest.mark.parametrize("content", [b"", b"no image", None])
@pytest.mark.parametrize("folder", ["train", "trainannot"])
def test_a_broken_file_is_named(root: Path, folder: str, content: bytes | None) -> None:
    path = root / folder / "0001TP_000100.png"
    path.write_bytes(path.read_bytes()[:-60] if content is None else content)
    assert refusal(root).startswith(f"{path}: ")


def test_frames_without_number(root: Path) -> None:
    save_image(root / "train" / "photo.png")
    save_label(root / "trainannot" / "photo.png")
    assert f"{root / 'train'}: 'photo' does not end in _ and a frame number" in refusal(root)


def test_hidden_and_foreign_files_are_passed_over(root: Path) -> None:
    for name in (".DS_Store", "._0001TP_000100.png", "Thumbs.db"):
        (root / "train" / name).write_bytes(b"x")
    assert len(open_data(CamVidData(root=str(root), size=SIZE)).train) == 11


def test_the_real_camvid() -> None:
    root = camvid_or_skip()
    splits = open_data(CamVidData(root=str(root), size=(90, 120), holdout=Holdout(fold=2)))
    assert splits.report is not None
    assert (len(splits.val), len(splits.report)) == (74, 101)
    assert len(splits.train) == 367 - 74 - 3 * 4
    image, label = splits.val[5]
    assert image.std() > 20 and (label != IGNORE).mean() > 0.8
