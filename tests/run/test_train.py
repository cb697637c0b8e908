"""Trainings in folders: finished, shown, stopped, taken up again, refused."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from segsearch.data.streets.dataset import Streets
from segsearch.errors import DivergedError, InputError
from segsearch.lock import locked
from segsearch.models.network import build
from segsearch.report.run import finished, planned
from segsearch.run.ask import ask
from segsearch.run.course import BestWeights, Check
from segsearch.run.folder import BEST, LAST, METRICS, Best, Training, read_run
from segsearch.run.metrics import Metrics, read_metrics
from segsearch.run.subject import images_for, load_subject
from segsearch.run.train import Run, prepare, rehearse_run, train_run
from segsearch.space.points import named_point
from segsearch.spec.network import NetworkSpec
from segsearch.study_files import CHECKPOINT, RESULT, RUN, WEIGHTS
from segsearch.training.session import Step
from segsearch.training.weights import WeightFacts, save_weights
from tests.test_full_disk import room_for

from .runs import SIZE, tiny, write_point, write_recipe, write_streets


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    return train_run(tiny(folder), folder / "out")


def same(one: Path, other: Path) -> bool:
    left, right = load_file(one), load_file(other)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_a_run_leaves_all_that_was_promised(run: Run) -> None:
    names = {path.name for path in run.folder.iterdir() if not path.name.startswith(".")}
    assert names == {RUN, CHECKPOINT, METRICS, WEIGHTS, LAST, BEST, RESULT}
    result, file = run.result, read_run(run.folder)
    assert file == run.file and isinstance(file.spec, NetworkSpec)
    assert (result.steps, result.scores.images, file.recipe.epochs) == (12, 3, 3)
    assert np.array(result.scores.confusion).sum() <= 3 * SIZE[0] * SIZE[1]
    assert not same(run.folder / WEIGHTS, run.folder / LAST), "one is the average of the weights"
    assert file.content["train.drawn"].startswith("8 scenes") and file.versions["torch"] == torch.__version__


def test_metrics_have_every_check_and_the_last_loss(run: Run) -> None:
    lines = read_metrics(run.folder / METRICS)
    checks = [line["step"] for line in lines if "miou" in line]
    assert checks == [1, 2, 4, 5, 6, 7, 8, 10, 11, 12]
    assert lines[-1]["miou"] == run.result.scores.miou and lines[-1]["epoch"] == 3
    losses = [line for line in lines if "loss" in line]
    assert losses[-1]["step"] == 12 and all(line["rate"] > 0 and 0 <= line["waited"] < 1 for line in losses)


def test_the_best_weights_are_kept_beside_the_last_which_are_reported(run: Run) -> None:
    checks = {line["step"]: line["miou"] for line in read_metrics(run.folder / METRICS) if "miou" in line}
    best = max(checks, key=lambda step: (checks[step], -step))
    assert run.result.best == Best(step=best, miou=checks[best]) and best < 12 == run.result.steps
    for chosen, step in ((True, best), (False, 12)):
        subject = load_subject(str(run.folder), best=chosen)
        val, _ = images_for(subject, None, root=None, size_hw=None, split="val")
        assert subject.score(val).miou == checks[step]
    assert run.result.scores.miou == checks[12] < checks[best]
    told = "\n".join(finished(run))
    assert f"after step {best}: best.safetensors (evaluate --best); chosen by these very images, it is not" in told


def test_best_weights_that_are_damaged_or_done_again_are_written_anew(tmp_path: Path) -> None:
    path, network = tmp_path / BEST, build(named_point("fpenet").spec)
    for content in (b"", b"cut"):
        path.write_bytes(content)
        assert BestWeights(path, WeightFacts()).take(3, 0.5, network) == Best(step=3, miou=0.5)
    before = path.stat().st_mtime_ns
    for step, miou, kept in ((2, 0.4, 3), (3, 0.5, 3), (4, 0.5, 3)):
        assert (
            BestWeights(path, WeightFacts()).take(step, miou, network).step == kept
            and path.stat().st_mtime_ns == before
        )
    assert BestWeights(path, WeightFacts()).take(3, 0.3, network) == Best(step=3, miou=0.3), (
        "other batches after a retreat"
    )


def test_a_finished_run_is_shown_unchanged(run: Run) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    assert train_run(tiny(run.folder.parent), run.folder) == run
    assert {path.name: path.stat().st_mtime_ns for path in run.folder.iterdir()} == before


@pytest.mark.parametrize("damage", ["gone", "cut", "NaN"])
def test_a_finished_run_without_its_weights_gets_them_back(damage: str, run: Run, tmp_path: Path) -> None:
    folder, notes = tmp_path / "out", list[str]()
    shutil.copytree(run.folder, folder)
    if damage == "gone":
        (folder / WEIGHTS).unlink()
        with pytest.raises(InputError, match="has no weights.safetensors: the command that began it goes on with it"):
            load_subject(str(folder))
    elif damage == "cut":
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:100])
    else:
        tensors = load_file(folder / WEIGHTS)
        tensors["head.classify.bias"][0] = torch.nan
        save_file(tensors, folder / WEIGHTS)
    again = train_run(tiny(run.folder.parent), folder, note=notes.append)
    assert again.result.scores == run.result.scores and same(folder / WEIGHTS, run.folder / WEIGHTS)
    assert len(notes) == 1 and notes[0].endswith("; it is written again from the checkpoint")

    (folder / WEIGHTS).unlink()
    (folder / CHECKPOINT).unlink()
    shown = train_run(tiny(run.folder.parent), folder, note=notes.append)
    assert shown.result == again.result and "there is no checkpoint to make it from" in notes[1]
    assert WEIGHTS not in list(finished(shown))[-1]
    with pytest.raises(InputError, match="has no weights.safetensors, nor a checkpoint to make it from"):
        load_subject(str(folder))


def test_a_last_step_that_ruins_the_weights_is_no_success(tmp_path: Path) -> None:
    recipe = "{iterations: 1, batch_size: 2, learning_rate: RATE, optimizer: sgd, schedule: constant}"
    for rate, problem in (("1e38", "outputs are NaN or infinite"), ("3e38", "weights are NaN or infinite")):
        folder = tmp_path / rate
        with pytest.raises(DivergedError, match=problem):
            train_run(tiny(tmp_path, recipe.replace("RATE", rate)), folder)
        assert not (folder / RESULT).exists() and not (folder / BEST).exists()


def test_a_finished_run_outlives_its_data_and_is_none_of_other_data(tmp_path: Path) -> None:
    """Two files of one name in two folders, the same classes; then the labels of the first change, then they go."""
    for name, seed in (("a", 0), ("b", 1)):
        images = Streets(count=4, seed=seed, split="train", size_hw=SIZE)
        for number in range(4):
            for folder, array in zip(("images", "labels"), images[number], strict=True):
                path = tmp_path / name / ("val" if number == 3 else "train") / folder / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)
        parts = [f"{part}: {{images: {part}/images, labels: {part}/labels}}" for part in ("train", "val")]
        described = "\n".join([f"classes: {json.dumps(list(images.classes))}", *parts])
        (tmp_path / name / "data.yaml").write_text(described)

    def asked(name: str) -> Training:
        data, recipe = str(tmp_path / name / "data.yaml"), write_recipe(tmp_path, "{epochs: 1, batch_size: 2}")
        return ask(write_point(tmp_path), data, recipe=recipe, size_hw=SIZE)

    out, notes = tmp_path / "out", list[str]()
    first = train_run(asked("a"), out)
    assert train_run(asked("a"), out, note=notes.append) == first and notes == []
    with pytest.raises(
        InputError, match=r"out: holds a run with data holds\.train\.labels \w+, not \w+; choose another"
    ):
        train_run(asked("b"), out)
    shutil.copy(tmp_path / "b/train/labels/0.png", tmp_path / "a/train/labels/0.png")
    with pytest.raises(InputError, match=r"data holds\.train\.labels"):
        train_run(asked("a"), out)
    shutil.rmtree(tmp_path / "a/train")
    assert train_run(asked("a"), out, note=notes.append) == first
    assert len(notes) == 1 and "whether its data has changed since cannot be told: " in notes[0]


def test_the_course_of_what_was_given_up_is_dropped(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / METRICS, 0.5)
    metrics._written = -2.0
    for done in (*range(1, 8), *range(3, 9)):
        metrics.step(Step(done=done, total=8, loss=float(done), learning_rate=0.1))
        metrics._written = -2.0  # a line for every step
    lines = read_metrics(tmp_path / METRICS)
    assert [line["step"] for line in lines] == list(range(1, 9)), "one line of each, those of the way that was taken"


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_torch_cannot_take_is_one_line(tmp_path: Path, seed: int) -> None:
    with pytest.raises(InputError, match=rf"--seed: is {seed} \(allowed: 0 to 9223372036854775807\)"):
        tiny(tmp_path, seed=seed)


class _StoppedError(Exception):
    pass


@pytest.mark.parametrize("at", [1, 7])
def test_taken_up_again_it_ends_with_the_same_weights(run: Run, tmp_path: Path, at: int) -> None:
    def report(what: str, done: int, total: int) -> None:
        if what.startswith("loss") and done == at:
            raise _StoppedError

    training = tiny(run.folder.parent)
    with pytest.raises(_StoppedError):
        train_run(training, tmp_path / "out", report=report)
    with (tmp_path / "out" / METRICS).open("a") as file:
        file.write(
            '{"step": 11, "epoch": 1.0, "loss": 9, "seconds": 1}\n{"step": 12, "ep'
        )  # of a session that was lost
    again = train_run(training, tmp_path / "out")
    assert all(same(run.folder / name, again.folder / name) for name in (WEIGHTS, LAST, BEST))
    assert again.result.best == run.result.best
    assert again.result.scores == run.result.scores
    lines = read_metrics(again.folder / METRICS)
    steps = [line["step"] for line in lines]
    assert steps == sorted(steps) and 9 not in [line.get("loss") for line in lines]
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_and_saves(run: Run, tmp_path: Path, number: signal.Signals) -> None:
    notes: list[str] = []

    def report(what: str, done: int, total: int) -> None:
        if what.startswith("loss") and done == 3:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        train_run(tiny(run.folder.parent), tmp_path / "out", report=report, note=notes.append)
    assert notes == ["stopping after this step (once more to stop at once)"]
    first: list[int] = []
    train_run(tiny(run.folder.parent), tmp_path / "out", report=lambda what, done, total: first.append(done))
    assert first[0] == 4
    assert same(run.folder / WEIGHTS, tmp_path / "out" / WEIGHTS)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"seed": 1}, "holds a run with seed 0, not 1; choose another folder (--out DIR)"),
        ({"recipe": "{epochs: 4, batch_size: 2, ema: 0.9}"}, "holds a run with recipe.epochs 3, not 4"),
    ],
)
def test_another_run_in_its_folder_is_refused(run: Run, tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as error:
        train_run(tiny(tmp_path, **changes), run.folder)
    assert line in str(error.value)


def test_other_data_or_another_network_is_refused(run: Run, tmp_path: Path) -> None:
    recipe, streets = write_recipe(tmp_path), write_streets(tmp_path)
    network = ask(write_point(tmp_path, fusion_width=32), streets, recipe=recipe)
    with pytest.raises(InputError, match=f"holds a run with network {run.file.spec.id}, not {network.spec.id}"):
        train_run(network, run.folder)
    with pytest.raises(InputError, match=r"holds a run with data\.train 8, not 7"):
        train_run(ask(write_point(tmp_path), write_streets(tmp_path, train=7), recipe=recipe), run.folder)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    training = tiny(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"out: holds thesis.tex and no run.json, so it is no run's"):
        train_run(training, tmp_path / "out")
    with pytest.raises(InputError, match=r"thesis.tex: is a file, and a run needs a folder"):
        train_run(training, tmp_path / "out" / "thesis.tex")


def test_two_processes_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    refused = pytest.raises(InputError, match=r"out: another process .* is training there")
    with locked(tmp_path / "out"), refused:
        train_run(tiny(tmp_path), tmp_path / "out")


def test_a_truncated_checkpoint_is_one_line(run: Run, tmp_path: Path) -> None:
    def report(what: str, done: int, total: int) -> None:
        if done == 2:
            raise _StoppedError

    training = tiny(run.folder.parent)
    with pytest.raises(_StoppedError):
        train_run(training, tmp_path / "out", report=report)
    checkpoint = tmp_path / "out" / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"checkpoint.pt: cannot be read as a checkpoint .*delete the file to start"):
        train_run(training, tmp_path / "out")


def test_a_full_disk_is_one_line_and_costs_nothing_that_was_written(run: Run, tmp_path: Path) -> None:
    training = tiny(run.folder.parent)
    with room_for(20_000), pytest.raises(InputError, match=r"checkpoint.pt: cannot be written: File too large"):
        train_run(training, tmp_path / "out")
    assert not list((tmp_path / "out").glob(".*.part"))
    assert same(run.folder / WEIGHTS, train_run(training, tmp_path / "out").folder / WEIGHTS)


def test_fewer_images_than_a_batch_are_enough(tmp_path: Path) -> None:
    training = ask(write_point(tmp_path), write_streets(tmp_path, 3), recipe=write_recipe(tmp_path, "{epochs: 4}"))
    assert train_run(training, tmp_path / "out").result.steps == 2


@pytest.mark.parametrize(
    ("size_hw", "recipe", "line"),
    [
        ((16, 48), "{epochs: 1}", "--size: 16x48 is too small"),
        (SIZE, "{epochs: 1, crop: [16, 16]}", "recipe.crop: 16x16 is too small"),
        (
            SIZE,
            "{epochs: 1, crop: [64, 97]}",
            "recipe.crop: 64x97 is larger than the images, 32x48, even magnified by 2",
        ),
    ],
)
def test_what_does_not_fit_the_images_is_told_first(
    tmp_path: Path, size_hw: tuple[int, int], recipe: str, line: str
) -> None:
    point, streets = write_point(tmp_path), write_streets(tmp_path)
    training = ask(point, streets, recipe=write_recipe(tmp_path, recipe), size_hw=size_hw)
    with pytest.raises(InputError) as error:
        train_run(training, tmp_path / "out")
    assert line in str(error.value) and not (tmp_path / "out").exists()


def test_what_has_changed_in_the_data_is_told(run: Run, tmp_path: Path) -> None:
    file = run.file.model_copy(update={"content": run.file.content | {"train.drawn": "other scenes"}})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / RUN).write_text(file.lines())
    with pytest.raises(InputError, match=r"holds a run with data holds.train.drawn other scenes, not 8 scenes"):
        train_run(tiny(run.folder.parent), tmp_path / "out")


def test_a_rehearsal_tells_time_and_memory_and_writes_nothing(tmp_path: Path) -> None:
    training = tiny(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    ready, taken = rehearse_run(training)
    assert (ready.steps, ready.epochs) == (12, 3) and taken.seconds_per_step > 0
    assert taken.mib is None or taken.mib >= 0
    assert sorted(tmp_path.rglob("*")) == before


def test_a_rehearsal_tells_of_batches_that_memory_cannot_hold(tmp_path: Path, room_for_two_images: None) -> None:
    training = tiny(tmp_path, "{epochs: 1, batch_size: 4}")
    told = planned(*rehearse_run(training)).splitlines()
    assert len(told) == 2 and told[1].startswith("note: went back from step 1 to step 0, as memory was short, and on")


def test_weights_to_begin_with_must_be_there_and_fit(run: Run, tmp_path: Path) -> None:
    weights = tmp_path / "some.safetensors"
    training = tiny(tmp_path, "{epochs: 1, batch_size: 4, pretrained: some.safetensors}")
    with pytest.raises(InputError, match=r"some.safetensors: cannot be read"):
        train_run(training, tmp_path / "out")
    save_weights(build(named_point("fpenet").spec), weights)
    with pytest.raises(InputError, match=r"recipe.pretrained: .*some.safetensors does not fit the encoder of tiny"):
        train_run(training, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    weights.write_bytes((run.folder / WEIGHTS).read_bytes())
    pretrained = train_run(training, tmp_path / "out").result.pretrained
    assert pretrained is not None and pretrained.startswith("some.safetensors#")
    imagenet, notes = tiny(tmp_path, "{epochs: 1, batch_size: 4, pretrained: imagenet}"), list[str]()
    assert train_run(imagenet, tmp_path / "fresh", note=notes.append).result.pretrained is None
    assert notes == ["no published ImageNet weights are of this encoder, which begins with fresh ones"]


def test_whoever_asks_is_told_of_checks(tmp_path: Path) -> None:
    checks: list[Check] = []
    train_run(tiny(tmp_path, "{iterations: 2, batch_size: 2}"), tmp_path / "out", checked=checks.append)
    assert [(check.step, check.total) for check in checks] == [(1, 2)] and 0 <= checks[0].miou <= 1


def test_the_usual_recipe_is_the_papers_where_it_has_one() -> None:
    usual = {data: ask("fpenet", data, root=None if data == "streets" else ".") for data in ("camvid", "streets")}
    assert {data: training.recipe_name for data, training in usual.items()} == {"camvid": "fpenet", "streets": "strong"}
    assert ask("fpenet", "streets", epochs=50).recipe.epochs == 50


def test_a_run_depends_on_its_seed_alone(tmp_path: Path) -> None:
    """Not on the words or the folder: the network begins with the same weights wherever it is built."""
    ready = prepare(tiny(tmp_path, seed=3))
    first, second = (ready.network()[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = prepare(tiny(tmp_path, seed=4)).network()[0].state_dict()
    assert not all(torch.equal(first[name], other[name]) for name in first)
    assert json.loads(ready.file.model_dump_json())["seed"] == 3
