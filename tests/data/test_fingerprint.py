import shutil
from pathlib import Path

import pytest
from PIL import Image

from segsearch.data.config import CamVidData, FolderData, StreetsData
from segsearch.data.dataset import MOST_CHARACTERS, fingerprint
from segsearch.data.open import open_data
from segsearch.errors import InputError

from .samples import SIZE, save_image, save_label, write_camvid, write_folder


def of(path: Path) -> dict[str, str]:
    return fingerprint(open_data(FolderData(root=str(path), size=SIZE)))


def differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def test_the_place_and_the_way_it_is_written_do_not_count(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "a")
    before = of(path)
    assert before["classes"] == "road 0, car 1, sky 2" and before["ignore"] == "255"
    assert set(before) == {"classes", "ignore", "size"} | {
        f"{p}.{k}" for p in ("train", "val") for k in ("files", "labels")
    }
    shutil.copytree(tmp_path / "a", tmp_path / "[b] ü")
    (tmp_path / "[b] ü" / "set.yaml").rename(tmp_path / "[b] ü" / "other.yml")
    assert of(tmp_path / "[b] ü" / "other.yml") == before
    where = {p: {"images": f"./images/{p}/*.png", "labels": f"labels//{p}/*.png"} for p in ("train", "val")}
    spelled = write_folder(tmp_path / "c", **where, ids=[0, 1, 2], ignore=255, name="mine", encoding="ids")
    assert of(spelled) == before


def test_each_change_of_content_is_named(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    before = of(path)
    write_folder(tmp_path, classes=["car", "road", "sky"])
    assert differing(before, of(path)) == {"classes"}
    write_folder(tmp_path, ids=[1, 0, 2])
    assert differing(before, of(path)) == {"classes"}
    write_folder(tmp_path, ignore=[254, 255])
    assert differing(before, of(path)) == {"ignore"}
    write_folder(tmp_path)
    save_label(tmp_path / "labels/val/1.png", seed=77)
    assert differing(before, of(path)) == {"val.labels"}
    write_folder(tmp_path)
    (tmp_path / "images/train/2.png").unlink()
    (tmp_path / "labels/train/2.png").unlink()
    after = of(path)
    assert differing(before, after) == {"train.files", "train.labels"}
    assert before["train.files"].startswith("3 files, ") and after["train.files"].startswith("2 files, ")


def test_two_labels_changed_for_each_other_are_another_data_set(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    before = of(path)
    one, other = (tmp_path / f"labels/train/{k}.png" for k in (0, 1))
    content = one.read_bytes(), other.read_bytes()
    one.write_bytes(content[1])
    other.write_bytes(content[0])
    assert differing(before, of(path)) == {"train.labels"}


def test_colours_stand_in_it(tmp_path: Path) -> None:
    path = write_folder(
        tmp_path, encoding="colours", colours=[[0, 0, 0], [1, 1, 1], [255, 0, 2]], ignore_colours="others"
    )
    assert of(path)["classes"] == "road #000000, car #010101, sky #ff0002" and of(path)["ignore"] == "others"


def test_drawn_data_is_its_parameters_and_nothing_is_drawn() -> None:
    one = fingerprint(open_data(StreetsData(train=900_000)))
    assert one["train.drawn"].startswith("900000 scenes, seed 0, split train")
    assert differing(one, fingerprint(open_data(StreetsData(train=900_000, seed=1)))) == {"train.drawn", "val.drawn"}
    assert differing(one, fingerprint(open_data(StreetsData(train=900_000, size=(32, 64))))) == {"size"}


def test_camvid_has_three_splits(tmp_path: Path) -> None:
    root = write_camvid(tmp_path, {"0001TP": 11})
    found = fingerprint(open_data(CamVidData(root=str(root), size=SIZE)))
    assert found["report.files"].startswith("3 files") and found["ignore"] == "11"
    assert found["classes"].startswith("Sky 0, Building 1, ")


def test_many_classes_are_cut_and_still_told_apart(tmp_path: Path) -> None:
    names = [f"a class of number {k}" for k in range(150)]
    one = of(write_folder(tmp_path, classes=names))["classes"]
    other = of(write_folder(tmp_path, classes=[*names[:-1], "another"]))["classes"]
    assert one != other and one[:MOST_CHARACTERS] == other[:MOST_CHARACTERS] and len(one) < MOST_CHARACTERS + 30


def test_a_label_that_goes_meanwhile_is_named(tmp_path: Path) -> None:
    splits = open_data(FolderData(root=str(write_folder(tmp_path)), size=SIZE))
    (tmp_path / "labels/val/0.png").unlink()
    with pytest.raises(InputError, match=r"labels/val/0\.png: cannot be read: No such file"):
        fingerprint(splits)


def test_names_that_are_no_utf8_are_hashed_too(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    name = b"\xff\xfe".decode("utf-8", "surrogateescape")
    try:
        save_image(tmp_path / "images/train" / f"{name}.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    Image.new("L", SIZE[::-1]).save(tmp_path / "labels/train" / f"{name}.png")
    assert of(path)["train.files"].startswith("4 files")
