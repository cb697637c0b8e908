"""`segsearch data check` and `predict` as people use them."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.command import refusal, run
from tests.data.samples import SIZE, save_label, write_camvid, write_folder


def study_of(path: Path, **data: object) -> Path:
    study = path.with_name("study.yaml")
    content = {
        "name": "x",
        "data": {"name": "folder", "root": str(path), "size": [32, 48], **data},
        "recipe": {"iterations": 1},
        "trials": 1,
    }
    study.write_text(yaml.safe_dump(content))
    return study


def test_a_study_a_file_or_a_folder_is_checked(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "[a] b")
    for what in (path, path.parent, study_of(path)):
        done = run("data", "check", what)
        assert (done.returncode, done.stderr) == (0, ""), done
        assert "all 5 images and labels can be used" in done.stdout
        assert "road" in done.stdout and "24x32 (3)" in done.stdout and "1.33" in done.stdout
    assert "3 images are of another shape than 32x48: stretched; `fit: pad` keeps" in done.stdout
    assert "another shape than 32x48: padded" in run("data", "check", study_of(path, fit="pad")).stdout
    camvid = write_camvid(tmp_path / "camvid", {"0001TP": 11})
    assert "(ignored: 11)" in run("data", "check", camvid).stdout
    assert run("data", "check", study_of(path), "--root", path).returncode == 0


def test_all_bad_files_are_told_the_first_twenty_in_words(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    for k in range(25):
        (tmp_path / f"images/train/lone {k:02}.png").write_bytes(b"")
    save_label(tmp_path / "labels/val/0.png", size_hw=(5, 6))
    done = run("data", "check", path)
    assert done.returncode == 1 and done.stdout.count("has no label in labels/train") == 20
    assert "... and 6 more (--json lists all)" in done.stdout and "26 files cannot be used" in done.stdout
    found = run("data", "check", path, "--json")
    facts = json.loads(found.stdout)
    assert found.returncode == 1 and facts["sound"] is False
    assert len(facts["splits"]["train"]["problems"]) == 25
    assert facts["splits"]["val"]["problems"][0]["file"] == str(tmp_path / "labels/val/0.png")
    labels = [np.array(Image.open(p)) for p in (tmp_path / "labels/train").iterdir()]
    assert facts["splits"]["train"]["classes"]["car"] == {
        "pixels": sum(int((label == 1).sum()) for label in labels),
        "images": 3,
    }
    assert facts["splits"]["train"]["sizes"] == [{"height": SIZE[0], "width": SIZE[1], "images": 3}]


def test_what_would_spoil_a_study_is_code_1(tmp_path: Path) -> None:
    path = write_folder(tmp_path, classes=["back", "front"])
    for label in (tmp_path / "labels").rglob("*.png"):
        Image.fromarray(np.where(np.array(Image.open(label)) == 1, 255, 0).astype(np.uint8)).save(label)
    done = run("data", "check", path)
    assert done.returncode == 1 and "write `ids: [0, 255]`" in done.stdout
    assert f"error: {path}.train: its 3 labels show one class only, back" in done.stdout
    for label in (tmp_path / "labels/val").iterdir():
        Image.new("L", SIZE[::-1], 255).save(label)
    done = run("data", "check", path)
    assert done.returncode == 1
    assert f"error: {path}.val: no pixel of its 2 labels shows a class, they hold 255 only" in done.stdout


def test_wrong_usage_is_code_2(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd.yaml").write_text("a: 1\n")
    path = write_folder(tmp_path / "a", train=None)
    for arguments, line in (
        (["nowhere"], "nowhere: no such file"),
        (["empty"], "empty: holds no known data set (allowed: one YAML file with classes, train and val in it"),
        (["odd.yaml"], "odd.yaml.a: unknown key"),
        ([path], "set.yaml.train: is missing"),
        ([path, "--root", "x"], "--root: is only for a study"),
    ):
        assert line in refusal("data", "check", *arguments, cwd=tmp_path)


def test_a_search_refuses_a_void_split_before_the_first_trial(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    study = study_of(path)
    for label in (tmp_path / "labels/val").iterdir():
        Image.new("L", SIZE[::-1], 255).save(label)
    assert f"{path}.val: no pixel of its 2 labels shows a class" in refusal("search", study, cwd=tmp_path)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("end", ["", "/"])
def test_predict_keeps_folders_and_says_what_it_skips(tmp_path: Path, end: str) -> None:
    for cam in ("cam1", "cam2"):
        (tmp_path / "photos" / cam).mkdir(parents=True)
        Image.new("RGB", (30, 20)).save(tmp_path / "photos" / cam / "000.webp")
    (tmp_path / "photos" / "v.mp4").write_bytes(b"x")
    model = tiny(tmp_path / "winner")
    done = run("predict", f"{model.parent}{end}", "photos", "--out", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 files in out; skipped 1 other file: v.mp4\n"
    assert sorted(p.relative_to(tmp_path).as_posix() for p in (tmp_path / "out").rglob("*.png")) == [
        "out/cam1/000_overlay.png",
        "out/cam2/000_overlay.png",
    ]


def tiny(folder: Path) -> Path:
    from tests.deployment.test_predict import brightest

    folder.mkdir()
    return brightest(folder / "model.onnx").path
