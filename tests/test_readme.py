"""The README tells the truth: its figures are recounted, its commands exist, its files are there, its examples parse."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from segsearch.cli.app import app
from segsearch.describe import compare
from segsearch.models.build import build
from segsearch.search.config import load_study
from segsearch.search.store import StudyFolder
from segsearch.space.points import named_points
from segsearch.yaml12 import parse_yaml
from tests.command import parse, run, words_of
from tests.data.samples import save_image, save_label, write_camvid
from tests.search.studies import TIMER

REPO = Path(__file__).parents[1]
README = (REPO / "README.md").read_text()
FENCED = re.findall(r"^```(\w*)\n(.*?)^```", README, re.M | re.S)
BLOCKS = {kind: [text for found, text in FENCED if found == kind] for kind in ("", "yaml")}
TEXTS = {name: (REPO / name).read_text() for name in ("README.md", "CONTRIBUTING.md")}


@pytest.mark.parametrize(
    ("name", "auxiliary"),
    [
        ("sfnet_r18", "none"),
        ("sfnet_r18", "encoder"),
        ("eseg_s", "none"),
        ("fpenet", "none"),
        ("sgcpnet1", "none"),
        ("dfanet_a", "none"),
    ],
)
def test_parameters(name: str, auxiliary: Any) -> None:
    params = sum(p.numel() for p in build(named_points()[name].spec, 19, auxiliary).parameters())
    assert f"| {params:,} |" in README


def test_number_of_points() -> None:
    assert f"{len(named_points())} named points" in README


@pytest.mark.parametrize(
    ("name", "printed"),
    [("sfnet_r18", "246.5G"), ("eseg_s", "34.5G"), ("fpenet", "5.7G"), ("sgcpnet1", "4.5G"), ("dfanet_a", "3.4G")],
)
def test_flops(name: str, printed: str) -> None:
    point = named_points()[name]
    row = next(r for r in point.published if r.printed == printed)
    ours = compare(point, row).ours
    assert ours is not None
    digits = 2 if ours > 1e11 else 3
    assert f"| {ours / 1e9:.{digits}f} G at {row.size[0]}x{row.size[1]} | {printed[:-1]} G |" in README


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_are_named_exist(name: str) -> None:
    linked = re.findall(r"\]\(([^)#:]+)\)", TEXTS[name])
    tables = [
        word for word in re.findall(r"`((?:segsearch|spaces|tests|docs)/[\w/.-]+)`", TEXTS[name]) if "PAPER" not in word
    ]
    assert not [path for path in linked + tables if not (REPO / path).exists()]


SHOWN = [line for block in BLOCKS[""] for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in SHOWN if line.startswith("segsearch ")])
def test_lines_that_are_shown_can_be_typed(line: str) -> None:
    parse(line)


def test_verbs_that_are_named_exist() -> None:
    known = {c.callback.__name__.replace("_", "-") for c in app.registered_commands if c.callback} | {
        g.name for g in app.registered_groups
    }
    used = set(re.findall(r"`segsearch ([a-z][\w-]*)", README))
    assert used <= known


def copied_study(folder: Path, block: str, **smaller: object) -> None:
    """Do what the README says: copy the quickstart, drop two keys, change what the YAML block changes."""
    dropped = re.search(r"drop its `(\w+)` and its `(\w+)`, and change five things", README)
    assert dropped is not None
    study = parse_yaml((REPO / "studies/quickstart.yaml").read_text(), "quickstart.yaml")
    changes = parse_yaml(block, "README.md")
    assert len(changes) == 5 and set(dropped.groups()) <= study.keys()
    kept = {key: value for key, value in study.items() if key not in dropped.groups()}
    (folder / "my_study.yaml").write_text(json.dumps(kept | changes | smaller))


def test_the_recipe_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line of the section, on a tiny CamVid, on a processor, with two networks of two epochs."""
    monkeypatch.chdir(tmp_path)
    (study, _), (lines, *_) = BLOCKS["yaml"], [b for b in BLOCKS[""] if "my_study.yaml --dry-run" in b]
    write_camvid(tmp_path / "PATH/TO/CamVid", {"0001TP": 11, "0006R0": 7})
    (tmp_path / "photos").mkdir()
    save_image(tmp_path / "photos/street.jpg")
    copied_study(tmp_path, study)
    as_told = load_study("my_study.yaml")
    assert (as_told.name, as_told.device, as_told.sampler, as_told.narrow) == ("my_study", "cuda", "tpe", {})
    on_cpu = {"device": "cpu", "backend": "eager", "trials": 1, "points": ["fpenet_plain", "sgcpnet1"]}
    small = {
        "data": {"name": "camvid", "root": "PATH/TO/CamVid", "size": [32, 48]},
        "recipe": {"epochs": 2, "batch_size": 8},
        "timer": TIMER,
        "confirm": 0,
    }
    copied_study(tmp_path, study, **on_cpu, **small)
    big = {"--trials 40": "--trials 2", "--fps 60": "--fps 60 --format onnx"}
    large = "segsearch export sfnet_r18 --size 512x1024"  # its likes are exported by tests/artefacts/test_point.py
    assert all(word in lines for word in (*big, large))
    for line in lines.splitlines():
        if line.startswith(large):
            continue
        for word, smaller in big.items():
            line = line.replace(word, smaller)
        if "anybodys.onnx" in line:
            shutil.copy("winner/model.onnx", "anybodys.onnx")
        done = run(*words_of(line)[1:])
        assert done.returncode in ((0, 3) if "--fps 60" in line else (0,)), f"{line}: {done.stdout}{done.stderr}"
    assert StudyFolder(Path("runs/my_study")).read_study().config.name == "my_study"
    assert {"pareto.png", "trials.csv"} <= {path.name for path in Path("runs/my_study").iterdir()}
    assert list(Path("overlays").rglob("*.png"))


def test_a_papers_name_leads_to_its_miou(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line of the section, with few drawn scenes in CamVid's place and a short recipe in FPENet's."""
    monkeypatch.chdir(tmp_path)
    (lines,) = [block for block in BLOCKS[""] if "segsearch train fpenet" in block]
    (tmp_path / "few.yaml").write_text("{name: streets, size: [32, 64], train: 4, val: 2}")
    (tmp_path / "fpenet.yaml").write_text("{epochs: 2, batch_size: 2}")
    smaller = {
        "--data camvid --root PATH/TO/CamVid": "--data few.yaml",
        "--recipe fpenet": "--recipe fpenet.yaml",
        "camvid_fpenet": "streets_fpenet",
        "--out fpenet": "--out fpenet --format onnx",
    }
    assert all(word in lines for word in smaller)
    told = list[str]()
    for line in lines.splitlines():
        for word, small in smaller.items():
            line = line.replace(word, small)
        done = run(*words_of(line)[1:])
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        told.append(done.stdout)
    (trained,), (evaluated,) = (re.findall(r"mIoU (\d+\.\d %)", text) for text in told[:2])
    assert trained == evaluated and f"of the trained network {trained}" in told[2]
    assert len(list(Path("pictures").glob("*.png"))) == 2 and Path("fpenet/model.onnx").is_file()
    names = {path.name for path in Path("runs/fpenet_streets_fpenet_seed0").iterdir()}
    assert {"weights.safetensors", "metrics.jsonl", "curves.png", "result.json"} <= names


def test_the_folder_data_works_as_it_stands(tmp_path: Path) -> None:
    study, described = BLOCKS["yaml"]
    (data,) = re.findall(r"# or (\{name: folder, .*\})", study)
    (tmp_path / "my_dataset.yaml").write_text(described)
    for part in parse_yaml(described, "README.md").values():
        if isinstance(part, dict):
            for name in "ab":
                save_image(tmp_path / part["images"] / f"{name}.jpg")
                save_label(tmp_path / part["labels"] / f"{name}.png")
    copied_study(tmp_path, study, data=parse_yaml(data, "README.md"))
    for what in ("my_study.yaml", "my_dataset.yaml"):
        done = run("data", "check", what, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_quickstarts_budget_is_the_one_told() -> None:
    (told,) = re.findall(r"\((\d+) FPS here\)", README)
    assert load_study("quickstart").budget.fps == float(told)


def test_make_search_is_the_lines_told() -> None:
    (block,) = re.findall(r"```\n(segsearch search studies/quickstart.*?)```", README, re.S)
    recipe = re.search(r"^search:.*\n((?:\t.*\n)+)", (REPO / "Makefile").read_text(), re.M)
    assert recipe is not None
    made = [line.strip().replace("$(BIN)/", "").replace("$(RUN)", "runs/quickstart") for line in recipe[1].splitlines()]
    assert made == block.splitlines()


def test_examples_parse() -> None:
    for block in BLOCKS["yaml"]:
        parse_yaml(block, "README.md")
