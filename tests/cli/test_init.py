"""`segsearch init` as people use it: the files it writes work with the commands it prints."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segsearch.data.folder import FolderFile
from segsearch.engine.plan import plan
from segsearch.measure.conditions import PLAIN
from segsearch.space.points import named_points
from segsearch.study import draft_speed
from segsearch.study.config import load_study
from segsearch.study.draft_speed import choose_speed, multiple
from segsearch.yaml12 import load_yaml
from tests.command import refusal, run, words_of
from tests.data.samples import save_image, save_label, write_camvid

SIZE = (64, 96)


def write(root: Path, images: str, labels: str, count: int = 6, classes: int = 3) -> Path:
    for k in range(count):
        save_image(root / images.format(k), k, SIZE)
        save_label(root / labels.format(k), classes, k, SIZE)
    return root


def recolour(root: Path, colours: list[Any]) -> Path:
    for label in root.rglob("labels/*.png"):
        Image.fromarray(np.array(colours, np.uint8)[np.array(Image.open(label))]).save(label)
    return root


def drafted(*arguments: str | Path, cwd: Path) -> Any:
    done = run("init", *arguments, "--no-measure", "--json", cwd=cwd)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def follow(commands: list[str], cwd: Path) -> None:
    """Check the data as the first printed command does, and read the study that the others name."""
    first, dry, search = (words_of(command) for command in commands)
    done = run(*first[1:], cwd=cwd)
    assert done.returncode == 0 and "can be used" in done.stdout, done
    assert dry == [*search, "--dry-run"] and search[:2] == ["segsearch", "search"]
    load_study(cwd / search[2])


def folder_trees(root: Path) -> dict[str, Path]:
    two = write(
        write(root / "two", "train/images/{}.png", "train/masks/{}.png"), "val/images/{}.png", "val/masks/{}.png"
    )
    lone = write(root / "lone", "images/{}.png", "labels/{}.png")
    save_image(lone / "images/alone.png", 1, SIZE)
    frames = write(
        write(root / "f", "images/s1_{:04}.png", "labels/s1_{:04}.png"), "images/s2_{:04}.png", "labels/s2_{:04}.png"
    )
    return {
        "folders": write(root / "a [b] c", "images/{}.png", "labels/{}.png"),
        "suffix": write(root / "flat", "{}.jpg", "{}_mask.png"),
        "suffix, png": write(root / "flat2", "{}.png", "{}_mask.png"),
        "splits": two,
        "unpaired": lone,
        "sequences": frames,
        "binary": recolour(write(root / "binary", "images/{}.png", "labels/{}.png", classes=2), [0, 255]),
        "colours": recolour(write(root / "colours", "images/{}.png", "labels/{}.png"), [(0, 0, 0), (9, 99, 0), (1, 2, 3)]),
    }  # fmt: skip


@pytest.mark.parametrize("inside", [True, False], ids=["beside", "elsewhere"])
def test_what_is_written_can_be_checked_and_read(tmp_path: Path, inside: bool) -> None:
    for name, tree in folder_trees(tmp_path).items():
        out = tree if inside else tmp_path / "out"
        facts = drafted(tree, "--out", out, cwd=tmp_path)
        assert facts["images"]["train"] + facts["images"]["val"] == (12 if name in ("splits", "sequences") else 6), name
        follow(facts["commands"], tmp_path)
        data = next(Path(path) for path in facts["files"] if not path.endswith(("_study.yaml", ".txt")))
        file = FolderFile.parse(load_yaml(data), data)
        assert len(file.classes) == (2 if name == "binary" else 3)
        assert file.ids == ((0, 255) if name == "binary" else None)
        assert (file.encoding == "colours") == (name == "colours")
        assert (file.val.fraction is None) == (name in ("splits", "sequences"))
        assert ("have no partner" in str(facts["warnings"])) == (name == "unpaired")


def test_a_published_data_set_needs_no_description(tmp_path: Path) -> None:
    write_camvid(tmp_path / "CamVid", {"0001TP": 22})
    for split in ("train", "val"):
        form = f"{{}}/{split}/ulm/ulm_000000_{{{{:06}}}}_{{}}.png"
        images, labels = form.format("leftImg8bit", "leftImg8bit"), form.format("gtFine", "gtFine_labelIds")
        write(tmp_path / "cs", images, labels, classes=25)
    for name, root in (("camvid", "CamVid"), ("cityscapes", "cs")):
        facts = drafted(root, "--out", "out", cwd=tmp_path)
        assert list(facts["files"]) == [f"out/{root}_study.yaml"] and facts["classes"] is None
        follow(facts["commands"], tmp_path)
        assert load_study(tmp_path / f"out/{root}_study.yaml").data.name == name


@pytest.mark.nightly
def test_the_study_it_measures_for_begins(tmp_path: Path) -> None:
    write(tmp_path / "photos", "images/{}.png", "labels/{}.png", count=4)
    done = run("init", "photos", "--fps", "0.5", cwd=tmp_path)
    assert done.returncode == 0 and "budget 0.5 FPS: as it was asked for" in done.stdout, done
    assert "warning: there are only 4 images" in done.stderr
    dry = next(line for line in done.stdout.splitlines() if line.endswith("--dry-run"))
    planned = run(*words_of(dry)[1:], cwd=tmp_path)
    assert planned.returncode == 0 and "nothing was written" in planned.stdout, planned


def test_one_network_is_measured_and_the_study_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_speed, "named_points", lambda: {"fpenet": named_points()["fpenet"]})
    write(tmp_path / "photos", "images/{}.png", "labels/{}.png", count=4)
    done = run("init", "photos", "--json", cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert done.returncode == 0 and list(facts["latencies_ms"]) == ["fpenet"]
    fpenet_fps = 1000 / facts["latencies_ms"]["fpenet"]
    assert 0.9 * fpenet_fps < facts["fps"] <= fpenet_fps
    config = load_study(tmp_path / "photos_study.yaml")
    assert (config.budget.fps, config.data.size) == (facts["fps"], tuple(facts["size"]))
    planned = plan(config.model_copy(update={"points": ("fpenet",)}), first=1)
    assert planned.images == {"train": 3, "val": 1} and planned.seconds_per_training > 0


def test_nothing_is_replaced_unless_it_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "photos", "images/{}.png", "labels/{}.png")
    done = run("init", "photos", "--no-measure", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0 and "would write" in done.stdout and list(tmp_path.iterdir()) == [tmp_path / "photos"]
    drafted("photos", cwd=tmp_path)
    (tmp_path / "photos.yaml").write_text("mine\n")
    line = refusal("init", "photos", "--no-measure", cwd=tmp_path)
    assert line.startswith("photos.yaml: is there already") and (tmp_path / "photos.yaml").read_text() == "mine\n"
    drafted("photos", "--force", cwd=tmp_path)
    assert "class_0" in (tmp_path / "photos.yaml").read_text()


def test_nonsense_is_one_line_and_code_2(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    image = save_image(tmp_path / "only/a.png")
    for arguments, problem in (
        (["gone"], "gone: no such folder"),
        (["empty"], "empty: holds no images"),
        (["only"], "only: holds 1 images and no labels that are recognised"),
        ([image], "is a file"),
        (["only", "empty"], "empty: holds no label files"),
    ):
        assert problem in refusal("init", *arguments, "--no-measure", cwd=tmp_path)


def test_sizes_keep_their_shape_and_budgets_shrink_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [multiple(size) for size in ((720, 960), (360, 480), (1024, 2048), (96, 64))] == [
        (704, 928), (352, 480), (1024, 2048), (96, 64),
    ]  # fmt: skip
    for height in range(64, 700, 37):
        for width in range(height, 3 * height, 91):
            h, w = multiple((height, width))
            assert h % 32 == w % 32 == 0 and h <= height and w <= width

    # how long a network takes is made up, in proportion to the pixels: 10 and 40 ms at 512x1024
    def speeds(size: tuple[int, int], *_: object) -> dict[str, float]:
        return {name: ms * size[0] * size[1] / (512 * 1024) for name, ms in (("a", 10.0), ("b", 40.0), ("c", 40.0))}

    monkeypatch.setattr(draft_speed, "_measure", speeds)
    found = choose_speed((512, 1024), 3, PLAIN)
    assert found.size_hw == (512, 1024) and found.fps == 25 and "the median of a, b, c at 512x1024" in found.how
    found = choose_speed((512, 1024), 3, PLAIN, fps=200)
    assert found.size_hw[0] < 512 and min(speeds(found.size_hw).values()) <= 5 and found.fps == 200
    assert "at 512x1024 the fastest published network runs 100 FPS" in found.why
    found = choose_speed((2048, 4096), 3, PLAIN)
    assert 10 <= (found.fps or 0) <= 15 and found.size_hw[0] * 2 == found.size_hw[1]
