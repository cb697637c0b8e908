from pathlib import Path
from typing import Any

import pytest

from segsearch.errors import InputError
from segsearch.run.data import read_data
from tests.data.samples import write_camvid, write_folder


def test_a_known_name_takes_root_and_size(tmp_path: Path) -> None:
    found = read_data("camvid", root=str(tmp_path), size_hw=(64, 96))
    assert (found.name, found.size, found.root) == ("camvid", (64, 96), str(tmp_path))
    assert read_data("camvid", root=str(tmp_path)).size == (360, 480)


def test_a_training_learns_the_official_split_unless_its_file_says_otherwise(tmp_path: Path) -> None:
    assert read_data("camvid", root=str(tmp_path)).split == "official"
    assert read_data("camvid", root=str(tmp_path), split="trainval").split == "trainval"
    (tmp_path / "mine.yaml").write_text("{name: camvid, root: here, split: holdout}")
    found = read_data(str(tmp_path / "mine.yaml"))
    assert (found.split, found.root) == ("holdout", str(tmp_path / "here"))


def test_files_and_folders_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, camvid = write_folder(tmp_path / "own"), write_camvid(tmp_path / "camvid", {"0001TP": 11})
    for written in ("own/set.yaml", "own"):
        found = read_data(written, size_hw=(32, 48))
        assert (found.name, found.size, found.root) == ("folder", (32, 48), str(path))
    assert read_data("camvid", root="camvid").root == str(camvid)
    assert read_data(str(camvid)).root == str(camvid)


def test_the_size_that_a_description_says_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "few.yaml"
    path.write_text("{name: streets, size: [512, 1024], train: 3, val: 1}")
    assert read_data(str(path)).size == (512, 1024)
    path.write_text("{name: streets, train: 3, val: 1}")
    assert read_data(str(path)).size == (128, 192), "the usual one of streets"


@pytest.mark.parametrize(
    ("written", "given", "line"),
    [
        ("camvit", {}, "--data: 'camvit' is neither a data set nor the file or folder of one, did you mean 'camvid'?"),
        ("camvid", {}, "--root: is needed for camvid (allowed: the folder that holds the data)"),
        ("streets", {"root": "x"}, "--root: streets is drawn, and lies nowhere"),
        ("own/set.yaml", {}, "--size: is needed for folder (allowed: HEIGHTxWIDTH in pixels, such as 512x1024)"),
        ("own/images", {}, "own/images: holds no known data set"),
        ("study.yaml", {}, "--data: 'study.yaml' is neither a data set nor the file or folder of one"),
        ("streets", {"size_hw": (3, 4)}, "--data.size"),
        (
            "streets",
            {"split": "official"},
            "--split: streets has one way to be divided (allowed: with camvid, camvid_c",
        ),
        (
            "camvid",
            {"root": ".", "split": "tranval"},
            "--split: 'tranval' is not known, did you mean 'trainval'? (allo",
        ),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, given: dict[str, Any], line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "own")
    (tmp_path / "study.yaml").write_text("{data: {name: streets}, trials: 1}")
    with pytest.raises(InputError) as error:
        read_data(written, **given)
    assert line in str(error.value)
