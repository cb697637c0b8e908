"""Recipes that name a teacher: a run, or a point with weights; known by its checksum, refused in one line."""

from pathlib import Path

import pytest

from segsearch.download import sha256
from segsearch.engine.driver import run_study
from segsearch.engine.prepare import prepare as prepare_study
from segsearch.errors import InputError
from segsearch.run.ask import ask
from segsearch.run.folder import Training, read_run
from segsearch.run.train import Run, prepare, rehearse_run, train_run
from segsearch.study_files import WEIGHTS
from segsearch.training.recipe import Recipe
from segsearch.training.weights import save_weights
from tests.command import refusal
from tests.data.samples import write_folder
from tests.engine.studies import quick

from .runs import SIZE, tiny, write_point, write_recipe, write_streets

SHORT = "iterations: 2, batch_size: 2"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    return train_run(tiny(folder, "{iterations: 2, batch_size: 4, auxiliary: neck}"), folder / "big")


def taught(folder: Path, recipe: str, data: str | None = None) -> Training:
    data = data or write_streets(folder)
    return ask(write_point(folder), data, recipe=write_recipe(folder, f"{{{SHORT}, {recipe}}}"), size_hw=SIZE)


def test_a_run_teaches_and_is_known_by_its_checksum(run: Run, tmp_path: Path) -> None:
    training = taught(tmp_path, f"teacher: {run.folder}, distill_weight: 2, temperature: 4")
    done = train_run(training, tmp_path / "out")
    assert read_run(done.folder).teacher == sha256(run.folder / WEIGHTS)
    plain = train_run(tiny(tmp_path, f"{{{SHORT}}}"), tmp_path / "plain")
    assert done.result.final_loss > plain.result.final_loss and read_run(plain.folder).teacher is None
    assert rehearse_run(training)[1].seconds_per_step > 0
    moved = training.recipe.model_copy(update={"teacher": "/elsewhere/big"})
    assert moved.id == training.recipe.id != training.recipe.model_copy(update={"teacher": None}).id
    assert train_run(training.model_copy(update={"recipe": moved}), done.folder) == done, "a finished run needs nobody"
    with pytest.raises(InputError, match=r"holds a run with teacher's sha256 [0-9a-f]{64}, not [0-9a-f]{64}"):
        (done.folder / "result.json").unlink()
        save_weights(prepare(training).network()[0], tmp_path / WEIGHTS)
        fields = {"teacher_weights": str(tmp_path / WEIGHTS)}
        other = training.recipe.model_copy(update=fields)
        file = read_run(done.folder).model_copy(update={"recipe": other})
        (done.folder / "run.json").write_text(file.lines())
        train_run(training.model_copy(update={"recipe": other}), done.folder)


def test_relative_paths_begin_at_the_recipe_and_names_of_points_stay(run: Run, tmp_path: Path) -> None:
    (tmp_path / "big").symlink_to(run.folder)
    assert prepare(taught(tmp_path, "teacher: ./big")).teacher is not None
    named = taught(tmp_path, f"teacher: fpenet, teacher_weights: big/{WEIGHTS}").recipe
    assert (named.teacher, named.teacher_weights) == ("fpenet", str(tmp_path / "big" / WEIGHTS))
    point = prepare(taught(tmp_path, f"teacher: ./tiny.json, teacher_weights: big/{WEIGHTS}"))
    assert point.teacher is not None and point.teacher.sha256 == sha256(run.folder / WEIGHTS)


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        ("teacher: nobody", "recipe.teacher: 'nobody' is not a named point"),
        ("teacher: fpenet", "recipe.teacher_weights: is needed for fpenet (allowed: a run's folder, "),
        ("teacher: ./nothing", "nothing: no such file"),
        ("teacher: ./tiny.json, teacher_weights: cut.safetensors", "cut.safetensors: is not a safetensors file"),
        ("teacher: fpenet, teacher_weights: w.safetensors", "w.safetensors: does not fit the network: "),
        ("teacher_weights: w.safetensors", "recipe: teacher_weights is only for a teacher"),
        ("temperature: 0, teacher: fpenet", "temperature: should be greater than 0, got 0"),
    ],
)
def test_who_cannot_teach_is_told_in_one_line(run: Run, tmp_path: Path, recipe: str, line: str) -> None:
    whole = (run.folder / WEIGHTS).read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole)
    (tmp_path / "cut.safetensors").write_bytes(whole[:-1])
    write_point(tmp_path)
    streets, path = write_streets(tmp_path), write_recipe(tmp_path, f"{{{SHORT}, {recipe}}}")
    told = refusal("train", "tiny.json", "--data", streets, "--recipe", path, "--out", "out", cwd=tmp_path)
    assert line.removeprefix("recipe: ") in told and not (tmp_path / "out").exists()


def test_a_teacher_of_other_classes_is_refused(run: Run, tmp_path: Path) -> None:
    for names, line in {
        ("road", "car", "sky"): "is of a network for 11 classes, and the data has 3",
        tuple(f"class {k}" for k in range(11)): "calls class 0 'Sky', and the data calls it 'class 0'",
    }.items():
        data = str(write_folder(tmp_path / str(len(names)), classes=list(names)))
        with pytest.raises(InputError) as error:
            prepare(taught(tmp_path, f"teacher: {run.folder}", data))
        assert f"recipe.teacher: {run.folder} {line} (allowed: a network that was trained for the same cl" in str(error)


def test_a_study_is_taught(run: Run, tmp_path: Path) -> None:
    recipe = {"iterations": 2, "batch_size": 2, "teacher": str(run.folder), "distill_weight": 1000.0}
    outcome = run_study(quick(recipe=recipe, trials=1), tmp_path / "taught")
    loss = outcome.records[0].final_loss
    assert loss is not None and loss > 20, "eleven classes by chance are 2.4"
    content = prepare_study(quick(recipe=recipe)).file.content
    assert content is not None and content["teacher"] == f"sha256 {sha256(run.folder / WEIGHTS)[:16]}"
    assert outcome.records[0].recipe == Recipe.parse(recipe, "recipe")
