from pathlib import Path

import pytest

from segsearch.data.config import CONFIGS
from segsearch.errors import InputError
from segsearch.space.points import named_points
from segsearch.study.config import load_study
from segsearch.training.recipe import Recipe
from segsearch.training.recipes import load_recipe, read_recipe_file, recipe_names

OURS = ("search_short", "strong")
"""Recipes that are of no paper."""


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_holds_for_each_data_set_it_names_and_for_others(name: str) -> None:
    file, place = read_recipe_file(name), f"spaces/recipes/{name}.yaml"
    for key in ("source", "stated", "open"):
        assert getattr(file, key), f"{place}: a shipped recipe has `{key}`, as the others in its folder have"
    assert file.recipe.get("schema_version") == 1, f"{place}: recipe: `schema_version: 1` says whose defaults it has"
    plain = load_recipe(name, "streets")
    assert plain.crop is None, f"{place}: recipe: `crop` stands below `data`: other data sets may be of any size"
    assert set(file.data) <= set(CONFIGS), f"{place}: data: names data sets, as data/config.py has them"
    for data_name, changes in file.data.items():
        recipe = load_recipe(name, data_name)
        for field, value in changes.items():
            assert getattr(recipe, field) == (tuple(value) if isinstance(value, list) else value)
        assert recipe.total_steps(3000) > 0
    known = set(Recipe.model_fields) | set(file.data) | {"everything"}
    assert set(file.open) <= known, f"{place}: open: what is left open is a field, or a data set's"


def test_each_paper_has_its_recipe() -> None:
    papers = {point.paper for point in named_points().values()} - {"found"}
    where = "a file in spaces/recipes/ is called as its paper's file in spaces/points/, or named in OURS of this test"
    assert set(recipe_names()) == papers | set(OURS), where


def test_what_the_papers_print() -> None:
    fpenet = load_recipe("fpenet", "camvid")
    assert (fpenet.epochs, fpenet.batch_size, fpenet.optimizer, fpenet.learning_rate) == (300, 8, "adam", 5e-4)
    assert (fpenet.schedule_by, fpenet.rotate, fpenet.scale, fpenet.pretrained) == ("epoch", 10, (0.5, 1.75), None)
    assert load_recipe("fpenet", "cityscapes").epochs == 400
    sgcpnet = load_recipe("sgcpnet", "cityscapes")
    assert (sgcpnet.epochs, sgcpnet.batch_size, sgcpnet.crop, sgcpnet.learning_rate) == (350, 36, (1024, 1024), 0.3)
    eseg = load_recipe("eseg", "cityscapes")
    assert (eseg.iterations, eseg.epochs, eseg.crop, eseg.schedule) == (90_000, None, (512, 1024), "cosine")
    assert eseg.ema is not None and eseg.loss == "ohem"
    dfanet, sfnet = load_recipe("dfanet", "cityscapes"), load_recipe("sfnet", "cityscapes")
    assert (dfanet.iterations, dfanet.batch_size, dfanet.scale, dfanet.weight_decay) == (40_000, 48, (0.75, 1.75), 1e-5)
    assert (sfnet.iterations, sfnet.batch_size, sfnet.ohem_share, sfnet.auxiliary) == (50_000, 16, 0.1, "neck")


def test_changes_replace_fields_and_one_length_the_other() -> None:
    recipe = load_recipe("eseg", "cityscapes", {"epochs": 3, "crop": None})
    assert (recipe.epochs, recipe.iterations, recipe.crop, recipe.batch_size) == (3, None, None, 16)
    with pytest.raises(InputError, match=r"^mine: exactly one of iterations and epochs must be given$"):
        load_recipe("eseg", "streets", {"epochs": 3, "iterations": 3}, place="mine")
    with pytest.raises(InputError, match=r"^fpenet\.epoch: unknown key, did you mean 'epochs'\?"):
        load_recipe("fpenet", "streets", {"epoch": 3})


def test_an_unknown_recipe_names_the_nearest_and_all() -> None:
    with pytest.raises(
        InputError,
        match=r"^recipe .*/fpent: no such file, did you mean 'fpenet'\? \(allowed: a YAML file, or one of dfanet, ",
    ):
        load_recipe("fpent", "camvid")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    bare, whole = tmp_path / "bare.yaml", tmp_path / "whole.yaml"
    bare.write_text("epochs: 3\nscale: [1, 1]\n")
    whole.write_text("recipe: {epochs: 3, scale: [1, 1]}\ndata: {camvid: {iterations: 5}}\n")
    assert load_recipe(bare, "camvid") == load_recipe("whole.yaml", "streets", beside=tmp_path)
    assert load_recipe(str(whole), "camvid") == Recipe(iterations=5, scale=(1.0, 1.0))
    whole.write_text("recipe: {epochs: 3}\nsauce: mine\n")
    with pytest.raises(InputError, match=r"whole\.yaml\.sauce: unknown key, did you mean 'source'\?"):
        load_recipe(whole, "camvid")
    whole.write_text("recipe: 3\n")
    with pytest.raises(InputError, match=r"whole\.yaml\.recipe: should be "):
        load_recipe(whole, "camvid")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("fpenet", {"epochs": 300}),
        ("{name: fpenet, epochs: 3, batch_size: 4}", {"epochs": 3, "batch_size": 4}),
        ("own.yaml", {"iterations": 9}),
        ("{name: own.yaml, crop: [16, 32]}", {"iterations": 9, "crop": (16, 32)}),
    ],
)
def test_a_study_names_its_recipe(written: str, expected: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("iterations: 9\n")
    (tmp_path / "study.yaml").write_text(f"data: {{name: streets}}\nrecipe: {written}\ntrials: 2\n")
    recipe = load_study(tmp_path / "study.yaml").recipe
    assert {name: getattr(recipe, name) for name in expected} == expected
    assert (recipe.rotate == 10) == ("fpenet" in written)


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("fpent", r"^recipe .*/fpent: no such file, did you mean 'fpenet'\?"),
        ("{name: fpenet, epoch: 3}", r"study\.yaml\.recipe\.epoch: unknown key, did you mean 'epochs'\?"),
        ("{name: 3}", r"study\.yaml\.recipe\.name: unknown key"),
        ("3", r"study\.yaml\.recipe: should be"),
    ],
)
def test_a_study_with_a_wrong_recipe_is_refused_in_one_line(written: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(f"data: {{name: streets}}\nrecipe: {written}\ntrials: 2\n")
    with pytest.raises(InputError, match=line):
        load_study(tmp_path / "study.yaml")
