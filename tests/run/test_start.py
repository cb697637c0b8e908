"""Trainings that begin with the weights of an earlier one: taken whole, but for the classifiers, or refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from segsearch.errors import InputError
from segsearch.models.network import build
from segsearch.named import read_point
from segsearch.run.ask import ask
from segsearch.run.folder import Training, read_run
from segsearch.run.train import Run, prepare, train_run
from segsearch.study_files import WEIGHTS
from segsearch.training.weights import save_weights
from tests.command import refusal
from tests.data.samples import write_folder

from .runs import SIZE, tiny, write_point, write_recipe, write_streets

SHORT = "{iterations: 2, batch_size: 2}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    return train_run(tiny(folder, "{iterations: 4, batch_size: 4, auxiliary: neck}"), folder / "out")


def asked(folder: Path, data: str, recipe: str = SHORT, **more: Any) -> Training:
    return ask(write_point(folder), data, recipe=write_recipe(folder, recipe), size_hw=SIZE, **more)


def begun(training: Training) -> tuple[dict[str, Tensor], list[str]]:
    notes = list[str]()
    network, told = prepare(training).network(note=notes.append)
    assert training.weights is None or told == f"{Path(training.weights.file).name}#{training.weights.sha256[:12]}"
    return network.state_dict(), notes


def test_everything_is_taken_from_a_run_or_its_file(run: Run, tmp_path: Path) -> None:
    stored = load_file(run.folder / WEIGHTS)
    assert read_point(str(run.folder)) == (run.file.name, run.file.point), "a run is a point, too"
    for weights in (str(run.folder), str(run.folder / WEIGHTS)):
        first, notes = begun(asked(tmp_path, write_streets(tmp_path), weights=weights))
        assert notes == [] and all(torch.equal(first[name], stored[name]) for name in first)
    with_heads, notes = begun(
        asked(tmp_path, write_streets(tmp_path), f"{SHORT[:-1]}, auxiliary: neck}}", weights=weights)
    )
    assert notes == [] and with_heads.keys() == stored.keys() > first.keys()
    assert all(torch.equal(with_heads[name], stored[name]) for name in stored)
    other, notes = begun(
        asked(tmp_path, write_streets(tmp_path), f"{SHORT[:-1]}, auxiliary: encoder}}", weights=weights)
    )
    assert notes == [f"{WEIGHTS} has no such auxiliary heads, which begin with fresh weights"]
    assert all(torch.equal(other[name], stored[name]) for name in first)


def test_other_classes_need_fresh_classifiers(run: Run, tmp_path: Path) -> None:
    data = str(write_folder(tmp_path / "own"))
    recipe = f"{SHORT[:-1]}, auxiliary: neck}}"
    with pytest.raises(InputError, match=r"weights.safetensors: is of a network for 11 classes, and the data has 3 .*"):
        begun(asked(tmp_path, data, recipe, weights=str(run.folder)))
    stored, (fresh, _) = load_file(run.folder / WEIGHTS), begun(asked(tmp_path, data, recipe))
    first, notes = begun(asked(tmp_path, data, recipe, weights=str(run.folder), reset_head=True))
    classifiers = {name for name in first if ".classify." in name}
    assert notes == [] and {name.partition(".")[0] for name in classifiers} == {"head", "auxiliary"}
    assert all(torch.equal(first[name], (fresh if name in classifiers else stored)[name]) for name in first)


def test_other_names_of_as_many_classes_are_refused_unless_the_head_is_reset(run: Run, tmp_path: Path) -> None:
    data = str(write_folder(tmp_path, classes=[f"class {k}" for k in range(11)]))
    with pytest.raises(InputError, match=r"calls class 0 'Sky', and the data calls it 'class 0' \(allowed: --reset-h"):
        begun(asked(tmp_path, data, weights=str(run.folder)))
    first, _ = begun(asked(tmp_path, data, weights=str(run.folder), reset_head=True))
    assert not torch.equal(first["head.classify.weight"], load_file(run.folder / WEIGHTS)["head.classify.weight"])


def test_a_run_keeps_to_the_weights_that_it_began_with(run: Run, tmp_path: Path) -> None:
    data, file = write_streets(tmp_path), tmp_path / "first.safetensors"
    file.write_bytes((run.folder / WEIGHTS).read_bytes())
    imagenet = f"{SHORT[:-1]}, pretrained: imagenet}}"
    done = train_run(asked(tmp_path, data, imagenet, weights=str(file)), tmp_path / "out")
    assert done.result.pretrained == f"first.safetensors#{read_run(done.folder).weights.sha256[:12]}"
    file.rename(tmp_path / "moved.safetensors")
    again = asked(tmp_path, data, imagenet, weights=str(tmp_path / "moved.safetensors"))
    assert train_run(again, tmp_path / "out") == done, "files may be moved"
    with pytest.raises(InputError, match=r"holds a run with weights.sha256 [0-9a-f]{64}, not None"):
        train_run(asked(tmp_path, data, imagenet), tmp_path / "out")


def test_what_cannot_be_begun_with_is_one_line(run: Run, tmp_path: Path) -> None:
    asked(tmp_path, write_streets(tmp_path))
    whole, tensors = (run.folder / WEIGHTS).read_bytes(), load_file(run.folder / WEIGHTS)
    (tmp_path / "cut.safetensors").write_bytes(whole[:-100])
    save_weights(build(run.file.spec, 11).encoder, tmp_path / "encoder.safetensors")
    save_file({n: t for n, t in tensors.items() if n != "head.classify.bias"}, tmp_path / "lacks.safetensors")
    (tmp_path / "wide").mkdir()
    wide = ask(write_point(tmp_path / "wide", fusion_width=32), write_streets(tmp_path)).spec
    save_weights(build(wide, 5), tmp_path / "wide.safetensors")
    command = ("train", "tiny.json", "--data", "few.yaml", "--recipe", "short.yaml", "--out", "out")
    for given, line in {
        ("--weights", "cut.safetensors"): "cut.safetensors: is not a safetensors file (",
        ("--weights", "none.safetensors"): "none.safetensors: cannot be read: No such file or directory",
        ("--weights", "encoder.safetensors"): "encoder.safetensors: does not fit the network: missing ",
        ("--weights", "wide.safetensors", "--reset-head"): "(32,) instead of (16,)",
        ("--weights", "wide.safetensors"): "wide.safetensors: does not fit the network: ",
        ("--weights", "first.pth"): "--weights: first.pth is not a .safetensors file (allowed: a run's folder, ",
        ("--weights", "lacks.safetensors"): "lacks.safetensors: does not fit the network: missing head.classify.bias",
        ("--weights", "wide"): "--weights: wide is a folder, and no run's (allowed: a run's folder, ",
        ("--reset-head",): "--reset-head: is only for a training that begins with --weights",
    }.items():
        assert line in refusal(*command, *given, cwd=tmp_path)
    assert not (tmp_path / "out").exists()
