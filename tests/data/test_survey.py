from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segsearch.data import survey as module
from segsearch.data.config import FolderData, StreetsData
from segsearch.data.dataset import Splits
from segsearch.data.open import open_data
from segsearch.data.survey import check_labels, judge, survey
from segsearch.errors import InputError

from .samples import SIZE, save_image, save_label, write_folder


def opened(path: Path) -> Splits:
    return open_data(FolderData(root=str(path), size=SIZE), check=False)


def fill(folder: Path, ids: object) -> None:
    """Write every label of a folder anew; ``ids`` are spread over the rows."""
    pixels = np.resize(np.array(ids, np.uint8), (SIZE[1], SIZE[0])).T
    for path in folder.glob("*.png"):
        Image.fromarray(np.ascontiguousarray(pixels)).save(path)


def cut(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def deep(path: Path) -> None:
    Image.fromarray(np.full(SIZE, 900, np.uint16)).save(path)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": cut,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no image"),
    "zeros": lambda path: path.write_bytes(bytes(500)),
    "16 bits": deep,
    "small": lambda path: Image.new("L", (5, 4)).save(path),
    "alone": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


def test_every_file_that_cannot_be_used_is_listed_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    for k, (name, damage) in enumerate(DAMAGE.items()):
        for kind in ("images", "labels"):
            for folder, save in (("images", save_image), ("labels", save_label)):
                save(tmp_path / folder / "train" / f"{kind} {name}.png", seed=k)
            damage(tmp_path / kind / "train" / f"{kind} {name}.png")
    fill(tmp_path / "labels" / "val", [0, 1, 77])
    surveys = survey(opened(path))
    spoiled = {Path(problem.place).stem for problem in surveys[0].problems}
    assert spoiled == {f"{kind} {name}" for kind in ("images", "labels") for name in DAMAGE}
    assert len(surveys[0].problems) == 2 * len(DAMAGE), "each file once"
    assert [p.problem for p in surveys[1].problems] == ["label value 77 is no class"] * 2
    assert all("\n" not in str(problem) for found in surveys for problem in found.problems)


def test_a_study_is_refused_by_the_first_bad_file_and_told_how_many_more_there_are(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    for k in (0, 1):
        (tmp_path / "images" / "train" / f"{k}.png").write_bytes(b"")
    (tmp_path / "labels" / "val" / "0.png").write_text("x")
    with pytest.raises(InputError, match=r"0\.png: is empty \(0 bytes\) \(and 2 more, .*`segsearch data check` lists"):
        open_data(FolderData(root=str(path), size=SIZE))


def test_pixels_images_and_sizes_are_counted(tmp_path: Path) -> None:
    path = write_folder(tmp_path, ids=[0, 1, 3], ignore=2)
    save_image(tmp_path / "images/train/big.png", size_hw=(40, 20))
    save_label(tmp_path / "labels/train/big.png", classes=1, size_hw=(40, 20))
    (tmp_path / "images/train/notes.txt").write_text("x")
    found = survey(opened(path))[0]
    labels = [np.array(Image.open(p)) for p in (tmp_path / "labels/train").iterdir()]
    assert found.pixels[:2] == tuple(sum(int((label == k).sum()) for label in labels) for k in (0, 1))
    assert found.ignored == {"2": sum(int((label == 2).sum()) for label in labels)} and not found.unknown
    assert found.images == (4, 3, 0) and found.absent == ("sky",)
    assert found.sizes == {SIZE: 3, (40, 20): 1}
    assert [Path(path).name for path in found.skipped] == ["notes.txt"]
    assert (found.files, found.looked, found.problems) == (4, 4, ())


@pytest.mark.parametrize("part", ["train", "val", "report"])
@pytest.mark.parametrize("encoding", ["ids", "colours"])
def test_a_split_without_a_labelled_pixel_is_refused(tmp_path: Path, part: str, encoding: str) -> None:
    changes = {"encoding": "colours", "colours": [[9, 9, 9], [8, 8, 8], [7, 7, 7]], "ignore_colours": "others"}
    save_image(tmp_path / "images/report/0.png", 99)
    save_label(tmp_path / "labels/report/0.png")
    path = write_folder(
        tmp_path,
        report={"images": "images/report", "labels": "labels/report"},
        **(changes if encoding == "colours" else {}),
    )
    if encoding == "colours":
        for label in (tmp_path / "labels").rglob("*.png"):
            Image.fromarray(9 - np.array(Image.open(label))).save(label)
    assert check_labels(opened(path)) == ()
    fill(tmp_path / "labels" / part, [255])
    with pytest.raises(InputError, match=f"^{path}.{part}: no pixel of its . labels shows a class, they hold .*255"):
        check_labels(opened(path))
    verdict = judge(survey(opened(path)))
    assert len(verdict.refused) == 1


def test_classes_that_are_absent_are_told_per_split(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    fill(tmp_path / "labels" / "train", [0, 2])
    fill(tmp_path / "labels" / "val", [1, 2])
    assert check_labels(opened(path)) == (
        f"{path}.train: none of its 3 labels shows car, which cannot be learnt",
        f"{path}.val: none of its 2 labels shows road, so that nothing tells how well it is found",
    )


@pytest.mark.parametrize(
    ("values", "classes", "changes", "cure"),
    [
        ([0, 255], 2, {}, "[0, 255]"),
        ([0, 255], 2, {"ignore": []}, "[0, 255]"),
        ([0, 1], 2, {"ids": [0, 7], "ignore": [1]}, "[0, 1]"),
        ([0, 1, 255], 3, {}, "[0, 1, 255]"),
        ([0, 128, 255], 3, {}, "[0, 128, 255]"),
        ([0, 2, 3, 200], 4, {}, "[0, 200, 2, 3]"),
        ([10, 20, 30], 3, {}, "[10, 20, 30]"),
    ],
)
def test_values_that_are_ignored_in_place_of_a_class_are_told_with_the_cure(
    tmp_path: Path, values: list[int], classes: int, changes: dict[str, object], cure: str
) -> None:
    names = [f"class {k}" for k in range(classes)]
    path = write_folder(tmp_path, classes=names, **changes)
    for part in ("train", "val"):
        fill(tmp_path / "labels" / part, values)
    surveys = survey(opened(path))
    (line,) = (line for line in judge(surveys).warned if "ids:" in line)
    assert f"write `ids: {cure}`" in line and "of all pixels" in line
    cured = write_folder(tmp_path, classes=names, ids=[int(word) for word in cure.strip("[]").split(",")])
    for part in ("train", "val"):
        fill(tmp_path / "labels" / part, values)
    after = survey(opened(cured))
    assert not any(found.problems or found.ignored or found.absent for found in after)
    assert judge(after) == judge(())


def test_void_beside_all_classes_is_no_news(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    for part in ("train", "val"):
        fill(tmp_path / "labels" / part, [0, 1, 2, 255])
    assert check_labels(opened(path)) == ()


def test_one_class_alone_is_told_and_spoils_a_study(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    fill(tmp_path / "labels" / "train", [1])
    verdict = judge(survey(opened(path)))
    assert verdict.spoiled == (f"{path}.train: its 3 labels show one class only, car",)
    assert verdict.spoiled[0] in check_labels(opened(path))


def test_of_many_labels_a_sample_is_read_and_more_only_where_it_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAMPLE", 3)
    path = write_folder(tmp_path)
    for k in range(3, 12):
        save_image(tmp_path / f"images/train/{k:02}.png", 50 + k)
        save_label(tmp_path / f"labels/train/{k:02}.png", 2)
    told: list[tuple[str, int, int]] = []
    for k in range(3):
        save_label(tmp_path / f"labels/train/{k}.png", 2)
    notes = check_labels(opened(path), lambda *step: told.append(step))
    assert notes == (
        f"{path}.train: none of its 3 labels (a sample of 12) shows sky, which cannot be learnt",
        f"{path}.train: 3 labels (a sample of 12) were read",
    )
    assert ("train", 3, 3) in told and ("train", 12, 12) not in told
    fill(tmp_path / "labels" / "train", [255])
    last = sorted((tmp_path / "labels/train").iterdir())
    for label in last:  # wherever the one labelled file lies, it is found
        fill(tmp_path / "labels" / "train", [255])
        save_label(label, 3)
        assert check_labels(opened(path)) in ((), (f"{path}.train: 3 labels (a sample of 12) were read",))
    fill(tmp_path / "labels" / "train", [255])
    with pytest.raises(InputError, match="no pixel of its 12 labels shows a class"):
        check_labels(opened(path))


def test_drawn_data_is_surveyed_but_not_checked() -> None:
    splits = open_data(StreetsData(train=2, val=1, size=(32, 48)))
    assert check_labels(splits) == () and splits.train._memory.used_bytes == 0  # type: ignore[attr-defined]
    train, val = survey(splits)
    assert (train.files, val.files) == (2, 1) and train.sizes == {(32, 48): 2}
    assert sum(train.pixels) + sum(train.ignored.values()) == 2 * 32 * 48


def test_a_broken_label_ends_the_check_before_a_study(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    fill(tmp_path / "labels" / "train", [0, 5, 6])
    with pytest.raises(InputError, match=r"label value 5 and 1 more is no class \(and 2 more; .*data check"):
        check_labels(opened(path))
