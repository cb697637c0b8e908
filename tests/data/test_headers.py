"""Headers of a large data set are read once, and again when a file changes; what is wrong is never forgotten."""

from pathlib import Path

import pytest

from segsearch.data import headers
from segsearch.data.config import FolderData
from segsearch.data.open import open_data
from segsearch.errors import InputError
from segsearch.quiet import CACHE

from .samples import save_image, write_folder


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderData:
    monkeypatch.setattr(headers, "LARGE", 5)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return FolderData(root=str(write_folder(tmp_path / "set")), size=(32, 48))


def looked(data: FolderData) -> list[tuple[int, int]]:
    told = list[tuple[int, int]]()
    open_data(data, report=lambda what, done, total: told.append((done, total)))
    return told


def test_they_are_read_once_and_again_when_a_file_changes(data: FolderData, tmp_path: Path) -> None:
    every = [(done, 5) for done in range(1, 6)]
    assert looked(data) == every and looked(data) == []
    save_image(tmp_path / "set/images/val/1.png", 99)
    assert looked(data) == every and looked(data) == []


def test_a_small_set_is_read_each_time_and_leaves_nothing(data: FolderData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "LARGE", 6)
    assert len(looked(data)) == len(looked(data)) == 5 and not Path(data.root).parents[1].joinpath("cache").exists()


def test_what_is_wrong_is_told_each_time(data: FolderData, tmp_path: Path) -> None:
    (tmp_path / "set/images/train/0.png").write_bytes(b"no image")
    for _ in range(2):
        with pytest.raises(InputError, match=r"train/0\.png"):
            looked(data)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_files_cut_short_are_told_and_none_that_only_has_more_behind_its_end(tmp_path: Path, suffix: str) -> None:
    described = FolderData(root=str(write_folder(tmp_path)), size=(32, 48))
    path = tmp_path / f"images/train/0{suffix}"
    (tmp_path / "images/train/0.png").unlink()
    save_image(path)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 9000)
    assert looked(described)
    for content in (whole[:-40], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"train/0\{suffix}: "):
            looked(described)


def test_a_cache_that_cannot_be_written_costs_only_time(data: FolderData, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    assert len(looked(data)) == len(looked(data)) == 5
