"""The README tells the truth: its figures are recounted, its commands exist, its files are there, its examples parse."""

import re
from pathlib import Path

import pytest

from segsearch.cli.app import app
from segsearch.describe import compare
from segsearch.models.build import build
from segsearch.search.config import load_study
from segsearch.space.points import named_points
from segsearch.yaml12 import parse_yaml

REPO = Path(__file__).parents[1]
README = (REPO / "README.md").read_text()
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
def test_parameters(name: str, auxiliary: str) -> None:
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


def test_verbs_that_are_named_exist() -> None:
    known = {c.callback.__name__.replace("_", "-") for c in app.registered_commands} | {
        g.name for g in app.registered_groups
    }
    used = set(re.findall(r"^segsearch ([\w-]+)", README, re.M)) | set(re.findall(r"`segsearch ([a-z][\w-]*)", README))
    assert used <= known
    assert {"search", "export", "pareto", "predict", "show"} <= used


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
    for block in re.findall(r"```yaml\n(.*?)```", README, re.S):
        parse_yaml(block, "README.md")
