"""`segsearch predict` as people use it: patterns, forms, videos, Ctrl-C."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segsearch.deployment.onnx import OnnxModel
from tests.command import refusal, run
from tests.deployment.clips import read_clip, write_clip
from tests.deployment.test_predict import brightest


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A model that says which of red and green is brighter, and two pictures."""
    brightest(tmp_path / "model.onnx")
    for name, left in (("a", (250, 0, 0)), ("b", (0, 250, 0))):
        picture = Image.new("RGB", (40, 20), left)
        picture.paste((0, 250, 0), (20, 0, 40, 20))
        (tmp_path / "in").mkdir(exist_ok=True)
        picture.save(tmp_path / f"in/{name} [1].png")
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_patterns_and_forms(here: Path) -> None:
    forms = [word for form in ("ids", "colours", "geojson", "coco") for word in ("--as", form)]
    done = run("predict", "model.onnx", "in/*.png", *forms, "--out", "out", cwd=here)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("7 files in out")
    ends = ("_colours.png", "_mask.png", ".geojson")
    assert names(here / "out") == sorted(["coco.json", *(f"{name} [1]{end}" for name in "ab" for end in ends)])
    shapes = json.loads((here / "out/b [1].geojson").read_text())["features"]
    assert [shape["properties"]["pixels"] for shape in shapes] == [800]
    coco = json.loads((here / "out/coco.json").read_text())
    assert len(coco["annotations"]) == 3
    assert [each["file_name"] for each in coco["images"]] == ["a [1].png", "b [1].png"]
    assert np.asarray(Image.open(here / "out/a [1]_mask.png"))[10].tolist() == [0] * 20 + [1] * 20
    done = run("predict", "model.onnx", "in/a [1].png", "--masks", "--legend", "--out", "two", cwd=here)
    assert names(here / "two") == ["a [1]_mask.png", "a [1]_overlay.png"] and done.returncode == 0
    drawn, mask = (np.asarray(Image.open(here / f"two/a [1]_{kind}.png")) for kind in ("overlay", "mask"))
    assert len(drawn) > len(mask) == 20


def test_a_file_in_the_place_of_the_folder_is_told_before_any_image_is_segmented(here: Path) -> None:
    (here / "FILE").touch()
    done = run("predict", "model.onnx", "in", "--out", "FILE", cwd=here)
    assert (done.returncode, done.stderr) == (2, "segsearch: FILE: is a file, no folder\n")
    assert "images" not in done.stdout


def test_an_image_whose_name_is_not_utf_8_is_one_of_the_results(here: Path) -> None:
    name = os.fsdecode(b"a\xff\xfe.png")
    (here / "odd").mkdir()
    shutil.copy(here / "in/a [1].png", here / "odd" / name)
    done = run("predict", "model.onnx", "odd", "--as", "coco", "--as", "overlay", "--out", "out", cwd=here)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert [each["file_name"] for each in json.loads((here / "out/coco.json").read_text())["images"]] == [name]


def test_a_video_becomes_a_video_and_says_where_the_time_went(here: Path) -> None:
    write_clip(here / "drive.mp4", sound=True)
    done = run("predict", "model.onnx", "drive.mp4", "--as", "overlay", "--as", "ids", "--out", "out", cwd=here)
    assert done.returncode == 0 and done.stderr == "note: drive.mp4: its sound is left out\n"
    assert "drive.mp4: 12 frames at" in done.stdout and "ms): out/drive_overlay.mp4, out/drive" in done.stdout
    assert all(f"{stage} " in done.stdout for stage in ("decode", "network", "draw", "encode"))
    assert len(read_clip(here / "out/drive_overlay.mp4")[0]) == 12
    assert names(here / "out/drive") == [f"{k:06}_mask.png" for k in range(12)]


def test_a_cut_video_is_code_2_and_its_beginning_is_kept(here: Path) -> None:
    whole = write_clip(here / "in.mp4", range(0, 40 * 1001, 1001), options={"movflags": "faststart"})
    (here / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    done = run("predict", "model.onnx", "cut.mp4", "in.mp4", "--out", "out", cwd=here)
    assert done.returncode == 2 and done.stderr.startswith("segsearch: cut.mp4: is cut short or broken: ")
    assert done.stderr.count("\n") == 1 and "of 40 frames can be read" in done.stderr
    assert 0 < len(read_clip(here / "out/cut_overlay.mp4")[0]) < 40 == len(read_clip(here / "out/in_overlay.mp4")[0])


def test_ctrl_c_leaves_a_video_that_plays(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, calls = OnnxModel.predict, list[int]()

    def counted(self: OnnxModel, image: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)
        return usual(self, image)

    monkeypatch.setattr(OnnxModel, "predict", counted)
    done = run("predict", "model.onnx", str(write_clip(here / "in.mp4")), "--out", "out", cwd=here)
    assert done.returncode == 130 and "stopping" in done.stderr and done.stderr.endswith("segsearch: interrupted\n")
    assert names(here / "out") == ["in_overlay.mp4"] and len(read_clip(here / "out/in_overlay.mp4")[0]) == 5
    assert "5 frames at" in done.stdout


def test_what_cannot_be_read_is_one_line(here: Path) -> None:
    (here / "text.mp4").write_text("no video\n" * 99)
    write_clip(here / "a_overlay.mp4"), write_clip(here / "a.mp4")
    for arguments, line in (
        ([], "images: none given"),
        (["no*.png"], "no*.png: no file has such a name"),
        (["text.mp4"], "text.mp4: is no video that can be read"),
        (["--camera", "97"], "--camera 97: cannot be opened"),
        (["a.mp4", "in", "--as", "coco"], "--as: coco is one file"),
        (["a.mp4", "a_overlay.mp4", "--out", "."], "a_overlay.mp4: is read, and a result would replace it"),
    ):
        assert line in refusal("predict", "model.onnx", *arguments, cwd=here)
