from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsearch.data.config import StreetsData
from segsearch.data.dataset import IGNORE, Dataset, Pair, Splits
from segsearch.data.open import open_data
from segsearch.data.palette import CAMVID_CLASSES
from segsearch.data.streets.camera import Camera
from segsearch.data.streets.dataset import Streets
from segsearch.data.streets.layout import random_scene
from segsearch.data.streets.render import DRAW, draw, render
from segsearch.data.survey import survey

SMALL = (48, 64)


def same(first: Pair, second: Pair) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@settings(max_examples=12)
@given(st.integers(0, 2**40), st.integers(16, 90), st.integers(16, 120))
def test_any_key_and_size_gives_a_valid_pair_that_repeats(number: int, height: int, width: int) -> None:
    image, label = draw(f"{number}/train/{number % 7}", (height, width))
    assert image.shape == (height, width, 3) and image.dtype == np.uint8
    assert label.shape == (height, width) and label.dtype == np.uint8
    assert set(np.unique(label)) <= {*range(len(CAMVID_CLASSES)), IGNORE}
    assert same((image, label), draw(f"{number}/train/{number % 7}", (height, width)))


def test_every_kind_of_thing_can_be_drawn_and_is_laid_out_somewhere() -> None:
    kinds = {thing.kind for k in range(80) for thing in random_scene(f"0/train/{k}").things}
    assert kinds == set(DRAW)


def test_every_class_and_void_occur_in_60_images() -> None:
    dataset = Streets(count=60, seed=0, split="train", size_hw=(64, 96))
    found = survey(Splits(train=dataset, val=dataset))[0]
    pixels = dict(zip(CAMVID_CLASSES, found.pixels, strict=True)) | found.ignored
    assert list(pixels) == [*CAMVID_CLASSES, "255"]
    assert sum(pixels.values()) == 60 * 64 * 96
    assert min(pixels.values()) > 60 * 64 * 96 * 0.002, pixels
    assert pixels["Road"] < 0.5 * 60 * 64 * 96
    assert found.sizes == {(64, 96): 60} and not found.problems and found.looked == found.files == 60


def test_splits_and_seeds_share_no_scene() -> None:
    keys = [f"{seed}/{split}/{k}" for seed in (0, 1) for split in ("train", "val") for k in range(40)]
    assert len({random_scene(key) for key in keys}) == len(keys)


def test_images_do_not_depend_on_how_many_there_are_or_in_which_order_they_are_asked_for() -> None:
    few = Streets(count=2, seed=3, split="train", size_hw=SMALL)
    many = Streets(count=9, seed=3, split="train", size_hw=SMALL)
    _ = many[8], many[0]
    assert same(few[1], many[1])


def test_the_same_scene_at_two_sizes_has_the_same_label_where_no_border_runs() -> None:
    scene = random_scene("0/train/5")
    small, large = render(scene, (64, 96))[1], render(scene, (128, 192))[1]
    assert (small == large[::2, ::2]).mean() > 0.9


def test_label_lies_on_the_picture() -> None:
    """Where a bright sky meets anything, brightness must jump at the label's border and not beside it."""
    image, label = draw("0/train/9", (128, 192))
    grey = image.mean(axis=2)
    sky = label == 0
    border = sky[:-1] & ~sky[1:]

    def jump(shift: int) -> float:
        rows, columns = np.nonzero(border[6:-6])
        rows = rows + 6 + shift
        return float(np.abs(grey[rows, columns] - grey[rows + 1, columns]).mean())

    assert jump(0) > 1.5 * max(jump(-5), jump(5))


def test_ground_and_points_agree_about_where_things_stand() -> None:
    camera = Camera(random_scene("0/train/3").view, (90, 121))
    x, z = camera.ground()
    row, column = 80, 70
    u, v = camera.point(float(x[row, column]), 0.0, float(z[row, column]))
    assert (u / 2 - 0.5, v / 2 - 0.5) == pytest.approx((column, row), abs=0.02)


def test_flat_and_project_agree() -> None:
    camera = Camera(random_scene("0/train/4").view, (90, 121))
    points = [(1.0, 0.5, 7.0), (-3.0, 2.0, 40.0), (0.0, 0.0, 0.1)]
    assert camera.flat(points) == pytest.approx(camera.project(np.array(points)).ravel().tolist())


def test_index_outside_is_refused() -> None:
    dataset = Streets(count=2, seed=0, split="val", size_hw=SMALL)
    for index in (-1, 2):
        with pytest.raises(IndexError):
            dataset[index]
    assert isinstance(dataset, Dataset)


def test_disk_cache_gives_the_same_pair_and_is_used(tmp_path: Path) -> None:
    def fresh(cache: Path | None) -> Streets:
        return Streets(count=2, seed=0, split="train", size_hw=SMALL, cache=cache)

    drawn = fresh(None)[1]
    assert same(fresh(tmp_path)[1], drawn)
    (path,) = tmp_path.glob("*/*.png")
    assert same(fresh(tmp_path)[1], drawn)
    fresh(tmp_path)[0]
    other = path.parent / "000000.png"
    path.write_bytes(other.read_bytes())
    assert not same(fresh(tmp_path)[1], drawn), "the stored file is what is read"


@pytest.mark.parametrize("damage", ["empty", "torn", "flipped", "text", "size", "mode", "label"])
def test_a_broken_cache_is_drawn_again(tmp_path: Path, damage: str) -> None:
    from PIL import Image

    def fresh() -> Streets:
        return Streets(count=1, seed=0, split="train", size_hw=SMALL, cache=tmp_path)

    drawn = fresh()[0]
    (path,) = tmp_path.glob("*/*.png")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    contents = {"empty": b"", "torn": whole[: len(whole) // 2], "flipped": bytes(flipped), "text": b"no picture"}
    if damage in contents:
        path.write_bytes(contents[damage])
    else:
        channels, label = {"size": (4, 0), "mode": (3, 0), "label": (4, 77)}[damage]
        size = (8, 8) if damage == "size" else SMALL
        Image.fromarray(np.full((*size, channels), label, np.uint8)).save(path)
    assert same(fresh()[0], drawn)
    assert path.read_bytes() == whole, "and stored again"


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    dataset = Streets(count=1, seed=0, split="train", size_hw=SMALL, cache=tmp_path / "file")
    assert dataset[0][0].shape == (*SMALL, 3)


def test_open_data_gives_the_asked_numbers_and_size() -> None:
    splits = open_data(StreetsData(size=SMALL, train=3, val=2, seed=5))
    assert (len(splits.train), len(splits.val), splits.report) == (3, 2, None)
    assert splits.train[0][0].shape == (*SMALL, 3)
    assert not same(splits.train[0], splits.val[0])
