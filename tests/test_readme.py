"""README and docs tell the truth: figures are recounted, commands exist, files are there, examples run or parse."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from segsearch.cli.app import app
from segsearch.models.network import build
from segsearch.published import compare
from segsearch.space.points import named_points, points_of
from segsearch.study.config import load_study
from segsearch.study.store import StudyFolder
from segsearch.yaml12 import parse_yaml
from tests.command import parse, run, words_of
from tests.data.samples import save_image, save_label, write_camvid
from tests.engine.studies import TIMER

REPO = Path(__file__).parents[1]
README = (REPO / "README.md").read_text()
PROSE = ("index", "data", "training", "search", "machines", "latency", "export", "models", "extend", "limits")
TEXTS = {name: (REPO / name).read_text() for name in ("README.md", "CONTRIBUTING.md", *(f"docs/{n}.md" for n in PROSE))}
BLOCKS = {
    name: [(kind, block) for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)]
    for name, text in TEXTS.items()
}
MODELS = TEXTS["docs/models.md"]
WORDS_OF_README = 600


def blocks(page: str, kind: str = "") -> list[str]:
    return [block for found, block in BLOCKS[page] if found == kind]


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= WORDS_OF_README


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
    assert f"| {params:,} |" in MODELS


def test_the_study_that_is_searched_is_the_one_that_init_writes() -> None:
    """`segsearch init` names it after the folder of the images."""
    told = re.search(r"segsearch init (\w+) .*?segsearch search (\S+) .*?segsearch report runs/(\w+)", README, re.S)
    assert told is not None and told.groups() == (told[1], f"{told[1]}_study.yaml", f"{told[1]}_study")


def test_number_of_points() -> None:
    told = f"{len(named_points()) - len(points_of('found'))} named points"
    assert told in README and told in " ".join(MODELS.split())
    assert len(points_of("found")) == 7 and "Seven more points, `found_*`" in MODELS


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
    assert f"| {ours / 1e9:.{digits}f} G at {row.size[0]}x{row.size[1]} | {printed[:-1]} G |" in MODELS


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_are_named_exist(name: str) -> None:
    beside = (REPO / name).parent
    linked = [beside / path for path in re.findall(r"\]\(([^)#:]+)\)", TEXTS[name])]
    tables = [
        REPO / word
        for word in re.findall(r"`((?:segsearch|spaces|studies|tests|docs|benchmarks)/[\w/.-]+)`", TEXTS[name])
        if "PAPER" not in word
    ]
    assert not [path for path in linked + tables if not path.exists()]


SHOWN = [line for name in TEXTS for block in blocks(name) for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in SHOWN if line.startswith("segsearch ")])
def test_lines_that_are_shown_can_be_typed(line: str) -> None:
    parse(line)


def test_verbs_that_are_named_exist() -> None:
    known = {c.callback.__name__.replace("_", "-") for c in app.registered_commands if c.callback} | {
        g.name for g in app.registered_groups
    }
    used = {verb for text in TEXTS.values() for verb in re.findall(r"`segsearch\s+([a-z][\w-]*)", text)}
    assert used <= known


def copied_study(folder: Path, block: str, **smaller: object) -> None:
    """Do what the README says: copy the quickstart, drop some keys, change what the YAML block changes."""
    (sentence,) = re.findall(r"drop what makes it small.*?and\s+change six things", TEXTS["docs/search.md"], re.S)
    dropped = re.findall(r"`(\w+)`", sentence)
    study = parse_yaml((REPO / "studies/quickstart.yaml").read_text(), "quickstart.yaml")
    changes = parse_yaml(block, "docs/search.md")
    assert len(changes) == 6 and set(dropped) <= study.keys()
    kept_as_is = study.keys() - set(dropped) - changes.keys()
    assert kept_as_is == {"space", "sampler"}, "what else the quickstart sets is neither dropped nor changed"
    kept = {key: value for key, value in study.items() if key not in dropped}
    (folder / "my_study.yaml").write_text(json.dumps(kept | changes | smaller))


def test_the_recipe_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line of the section, on a tiny CamVid, on a processor, with two networks of two epochs."""
    monkeypatch.chdir(tmp_path)
    (study,), (lines,) = blocks("docs/search.md", "yaml"), blocks("docs/search.md")
    write_camvid(tmp_path / "PATH/TO/CamVid", {"0001TP": 11, "0006R0": 7})
    (tmp_path / "photos").mkdir()
    save_image(tmp_path / "photos/street.jpg")
    copied_study(tmp_path, study)
    as_told = load_study("my_study.yaml")
    assert (as_told.name, as_told.device, as_told.sampler, as_told.narrow) == ("my_study", "cuda", "pareto", {})
    on_cpu = {"device": "cpu", "backend": "eager", "trials": 1, "points": ["fpenet_plain", "sgcpnet1"]}
    small = {
        "data": {"name": "camvid", "root": "PATH/TO/CamVid", "size": [32, 48]},
        "recipe": {"epochs": 2, "batch_size": 8},
        "timer": TIMER,
        "confirm": 0,
    }
    copied_study(tmp_path, study, **on_cpu, **small)
    big = {"--trials 40": "--trials 2", "--fps 60": "--fps 60 --format onnx"}
    elsewhere = ("segsearch finalize", "segsearch export sfnet_r18")  # tests/engine/test_finalize.py, tests/artefacts
    assert all(word in lines for word in (*big, *elsewhere))
    for line in lines.splitlines():
        if line.startswith(elsewhere):
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
    (lines,) = blocks("docs/training.md")
    (tmp_path / "few.yaml").write_text("{name: streets, size: [32, 64], train: 4, val: 2}")
    (tmp_path / "fpenet.yaml").write_text("{epochs: 2, batch_size: 2}")
    smaller = {
        "--data camvid --root PATH/TO/CamVid": "--data few.yaml",
        "--recipe fpenet": "--recipe fpenet.yaml",
        "camvid_360x480_fpenet": "streets_32x64_fpenet",
        "--out fpenet": "--out fpenet --format onnx --fps 1000000",
    }
    assert all(word in lines for word in smaller)
    told = list[str]()
    for line in lines.splitlines():
        for word, small in smaller.items():
            line = line.replace(word, small)
        done = run(*words_of(line)[1:])
        assert done.returncode == (3 if "--fps" in line else 0), f"{line}: {done.stdout}{done.stderr}"
        told.append(done.stdout)
    (trained,), (evaluated,) = (re.findall(r"^mIoU (\d+\.\d %)", text, re.M) for text in told[:2])
    assert trained == evaluated and f"of the trained network {trained}" in told[2]
    assert len(list(Path("pictures").glob("*.png"))) == 2 and Path("fpenet/model.onnx").is_file()
    names = {path.name for path in Path("runs/fpenet_streets_32x64_fpenet_seed0").iterdir()}
    assert {"weights.safetensors", "metrics.jsonl", "curves.png", "result.json"} <= names


def test_the_folder_data_works_as_it_stands(tmp_path: Path) -> None:
    (study,), (described,) = blocks("docs/search.md", "yaml"), blocks("docs/data.md", "yaml")
    (data,) = re.findall(r"# or (\{name: folder, .*\})", study)
    (tmp_path / "my_dataset.yaml").write_text(described)
    for part in parse_yaml(described, "docs/data.md").values():
        if isinstance(part, dict):
            for name in "ab":
                save_image(tmp_path / part["images"] / f"{name}.jpg")
                save_label(tmp_path / part["labels"] / f"{name}.png")
    copied_study(tmp_path, study, data=parse_yaml(data, "docs/search.md"))
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


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    """In a process and an empty folder of its own, as a new user would; one thread, one network, quick measurements."""
    (script,) = blocks("README.md", "python")
    assert len([line for line in script.splitlines() if line and not line.startswith(("import", "from"))]) <= 10
    smaller = {
        '"budget": {"fps": 5}': f'"budget": {{"fps": 0.5}}, "timer": {TIMER}, "confirm": 0',
        '"winner")': '"winner", formats=[])',
        '"trials": 2': '"trials": 1, "points": ["sgcpnet1"]',
    }
    assert all(word in script for word in smaller)
    for word, small in smaller.items():
        script = script.replace(word, small)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPO)}
    as_far_as_the_training = script.partition("study = ")[0]
    for code, lines in ((script, 3), (as_far_as_the_training, 2)):  # the second time on the run that is there
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == lines
    assert (tmp_path / "winner" / "model.onnx").is_file()


@pytest.mark.parametrize("page", TEXTS)
def test_examples_parse(page: str) -> None:
    for block in blocks(page, "yaml"):
        parse_yaml(block, page)
    for block in blocks(page, "python"):
        compile(block, page, "exec")


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    builder = Path(sys.executable).with_name("zensical")
    if not builder.exists():
        pytest.skip("zensical, of the extra docs, is not installed")
    shutil.copytree(REPO / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPO / "zensical.toml", tmp_path)
    done = subprocess.run([builder, "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = set(re.findall(r'(?:src|href)="(https?://[^"/]+)', (tmp_path / "site/index.html").read_text()))
    assert asked <= {"https://zensical.org"}, "a page of the site asks another one for something"
