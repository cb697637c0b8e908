"""`segsearch train`, `evaluate`, `export` and `visualize` as people use them."""

import json
from pathlib import Path

import pytest

from tests.command import refusal, run
from tests.run.runs import write_point, write_recipe, write_streets

TRAIN = ("train", "tiny.json", "--data", "few.yaml", "--recipe", "short.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in ``runs/tiny_streets_32x48_short_seed0``."""
    folder = tmp_path_factory.mktemp("cli")
    for write in (write_point, write_streets, write_recipe):
        write(folder)
    done = run(*TRAIN, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


RUN = "runs/tiny_streets_32x48_short_seed0"


def test_a_training_is_told_in_a_log_and_drawn(folder: Path) -> None:
    assert (folder / RUN / "curves.png").read_bytes().startswith(b"\x89PNG")
    done = run(*TRAIN, "--seed", "1", cwd=folder)
    checks = done.stderr.splitlines()
    assert len(checks) == 9 and checks[-1].startswith("step 11 of 12: loss ") and " left" in checks[-1], done
    assert "tiny (id " in done.stdout and "12 steps in" in done.stdout
    assert "images of streets/val, seen at 32x48" in done.stdout and "Sky" in done.stdout


def test_the_same_command_shows_a_finished_run(folder: Path) -> None:
    done = run(*TRAIN, "--json", cwd=folder)
    shown = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (shown["folder"], shown["run"]["recipe_name"], shown["result"]["steps"]) == (RUN, "short", 12)
    assert shown["printed"] is None
    assert f"mIoU {100 * shown['result']['scores']['miou']:.1f} %" in run(*TRAIN, cwd=folder).stdout


def test_a_dry_run_writes_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    done = run(*TRAIN, "--seed", "7", "--epochs", "2", "--dry-run", cwd=folder)
    assert "tiny on 8 images of streets/train by short: 8 steps (2 epochs), about " in done.stdout
    assert done.stdout.endswith("nothing was written\n") and sorted(folder.rglob("*")) == before


def test_evaluate_as_json_is_the_runs_result(folder: Path) -> None:
    found = json.loads(run("evaluate", RUN, "--json", cwd=folder).stdout)
    stored = json.loads((folder / RUN / "result.json").read_text())["scores"]
    assert {key: found[key] for key in stored} == stored
    assert (found["data"], found["size"]) == ("streets/val", [32, 48])
    assert found == json.loads(run("evaluate", RUN, "--json", "--per-image", "images.csv", cwd=folder).stdout)
    assert len((folder / "images.csv").read_text().splitlines()) == 1 + found["images"]
    best = json.loads((folder / RUN / "result.json").read_text())["best"]
    assert json.loads(run("evaluate", RUN, "--best", "--json", cwd=folder).stdout)["miou"] == best["miou"]


def test_images_are_seen_as_it_is_asked_for(folder: Path) -> None:
    plain, whole, more = (
        run("evaluate", RUN, *asked, cwd=folder).stdout.splitlines()[-1]
        for asked in ((), ("--window", "64x64"), ("--window", "32x32", "--scale", "1", "--scale", "1.5", "--flip"))
    )
    assert whole == f"{plain}, through windows of 64x64", "one that covers the image changes nothing"
    assert more.endswith("seen at 32x48, through windows of 32x32, at scales 1, 1.5, mirrored, too")
    assert more.partition(":")[0] != plain.partition(":")[0]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train", "fpnet", "--data", "streets"], "point: 'fpnet' is not a named point, did you mean 'fpenet'?"),
        (["train", "fpenet", "--data", "street"], "--data: 'street' is neither a data set nor"),
        (["train", "fpenet", "--data", "camvid"], "--root: is needed for camvid"),
        (["train", "fpenet", "--data", "camvid", "--root", "/nowhere"], "/nowhere"),
        (["train", "fpenet", "--data", "streets", "--recipe", "strng"], "did you mean 'strong'?"),
        (["train", "fpenet", "--data", "streets", "--size", "16x64"], "--size: 16x64 is too small"),
        (["train", "fpenet", "--data", "streets", "--device", "cuda:99"], "cuda:99"),
        (["evaluate", "fpenet", "--data", "streets"], "--weights: is needed for a point"),
        (["evaluate", RUN, "--stride", "8x8"], "--stride: needs --window HxW"),
        (["evaluate", RUN, "--window", "8"], "--window: '8' is not a size"),
        (["evaluate", "/nowhere", "--data", "streets"], "/nowhere: no such file"),
        (["evaluate", "fpenet", "--data", "streets", "--best"], "--best: is only for a run's folder, and fpenet is no"),
        (["evaluate", "nope.onnx", "--data", "streets"], "nope.onnx: there is no such file or folder"),
        (["visualize", "fpenet", "--weights", "x.safetensors", "--data", "streets"], "x.safetensors: cannot be read"),
        (["export", RUN, "--out", "x", "--weights", "w"], "--weights: is only for a study or a point"),
        (["export", RUN, "--out", "x", "--fastest", "--int8"], "--int8: is only for an export without --fastest"),
        (["tune", "fpnet", "--out", "x"], "fpnet: is neither a study's folder nor a point, did you mean 'fpenet'?"),
        (["tune", "fpenet", "--out", "x", "--data", "streets"], "--weights: is needed for a point"),
        (["tune", RUN, "--out", "x", "--backend", "tensorflow"], "--backend: 'tensorflow' is not known"),
        (["tune", RUN, "--out", "x", "--precision", "int4"], "--precision: 'int4' is not known"),
        (["tune", RUN, "--out", "x", "--size", "8"], "--size: '8' is not a size"),
    ],
)
def test_what_a_user_causes_is_one_line(folder: Path, arguments: list[str], line: str) -> None:
    before = sorted(folder.rglob("*"))
    assert line in refusal(*arguments, cwd=folder)
    assert sorted(folder.rglob("*")) == before
