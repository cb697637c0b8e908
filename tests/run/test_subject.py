"""One code, one answer: a run, its weights, and every file exported from it score alike."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from segsearch.errors import InputError
from segsearch.models.network import Network, build
from segsearch.run.ask import ask
from segsearch.run.export import export_run
from segsearch.run.subject import images_for, load_subject
from segsearch.run.train import Run, train_run
from segsearch.study_files import RESULT, RUN, WEIGHTS
from segsearch.training.evaluate import Evaluation
from segsearch.training.weights import save_weights
from tests.data.samples import write_folder

from .runs import SIZE, tiny, write_point, write_recipe, write_streets


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    return train_run(tiny(folder, "{iterations: 30, batch_size: 4, learning_rate: 0.01}"), folder / "out")


@pytest.fixture(scope="module")
def winner(run: Run) -> Path:
    out = run.folder.parent / "winner"
    card = export_run(run.folder, out=out, formats=["pt2", "openvino"], threads=1)
    assert (card.miou, card.artefact_miou) == (run.result.scores.miou, pytest.approx(run.result.scores.miou, abs=5e-4))
    assert card.proven_on == "validation images" and card.size_hw == SIZE and card.seed == 0
    return out


def scores(written: str, data: str | None = None, weights: Path | None = None) -> Any:
    subject = load_subject(written, weights)
    dataset, size_hw = images_for(subject, data, root=None, size_hw=None, split="val")
    assert size_hw == SIZE
    return subject.score(dataset)


def test_every_form_scores_alike(run: Run, winner: Path) -> None:
    streets = str(run.folder.parent / "few.yaml")
    assert scores(str(run.folder)) == run.result.scores
    assert scores(str(run.folder.parent / "tiny.json"), streets, run.folder / WEIGHTS) == run.result.scores
    for name in ("", "model.onnx", "model.xml", "model.pt2"):
        found = scores(str(winner / name), streets)
        assert found.miou == pytest.approx(run.result.scores.miou, abs=5e-4) and found.images == 3


def test_a_model_gives_one_answer_only(run: Run, winner: Path) -> None:
    subject = load_subject(str(winner))
    dataset, _ = images_for(subject, str(run.folder.parent / "few.yaml"), root=None, size_hw=None, split="val")
    with pytest.raises(InputError, match="is a model, which gives no logits"):
        subject.score(dataset, Evaluation(flip=True))


def test_another_split_and_another_size(run: Run) -> None:
    subject = load_subject(str(run.folder))
    dataset, size_hw = images_for(subject, None, root=None, size_hw=(64, 96), split="train")
    assert (size_hw, len(dataset), dataset[0][0].shape) == ((64, 96), 8, (64, 96, 3))


def test_a_run_whose_data_has_changed_is_not_exported_with_its_old_scores(tmp_path: Path) -> None:
    trained = train_run(tiny(tmp_path), tmp_path / "out")
    file = tmp_path / "out" / RUN
    file.write_text(file.read_text().replace("8 scenes", "9 scenes"))
    with pytest.raises(
        InputError, match=r"streets holds train.drawn 8 scenes.*, and held 9 scenes.* when this run was"
    ):
        export_run(trained.folder, out=tmp_path / "model", formats=[])
    assert not (tmp_path / "model").exists()


def test_an_export_is_kept_out_of_the_data(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "{epochs: 1, batch_size: 2}")
    trained = train_run(
        ask(write_point(tmp_path), str(write_folder(tmp_path)), recipe=recipe, size_hw=SIZE), tmp_path / "r"
    )
    with pytest.raises(InputError, match="which data is read from"):
        export_run(trained.folder, out=tmp_path / "images/train/model", formats=[])
    assert not (tmp_path / "images/train/model").exists()


def opened(written: str, **given: Any) -> None:
    asked = {"data": None, "root": None, "size_hw": None, "split": "val", "weights": None} | given
    subject = load_subject(written, asked.pop("weights"))
    images_for(subject, asked.pop("data"), **asked)


def refused(written: str, **given: Any) -> str:
    with pytest.raises(InputError) as error:
        opened(written, **given)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_does_not_fit_together_is_one_line(run: Run, winner: Path, tmp_path: Path) -> None:
    weights, point = run.folder / WEIGHTS, str(run.folder.parent / "tiny.json")
    assert "--weights: is needed for a point (allowed: a run's folder, a study's trial" in refused(point)
    assert "--weights: is only for a point" in refused(str(run.folder), weights=weights)
    assert "--size: cannot be chosen for an exported model (allowed: 32x48)" in refused(
        str(winner), data="streets", size_hw=(64, 96)
    )
    assert "--data: is needed for" in refused(str(winner))
    assert "--split: 'vall' is not known, did you mean 'val'? (allowed: train, val)" in refused(
        str(run.folder), split="vall"
    )
    assert "--size: 16x48 is too small" in refused(str(run.folder), size_hw=(16, 48))
    assert "point: 'fpnet' is not a named point, did you mean 'fpenet'?" in refused("fpnet")
    assert f"{tmp_path}: holds neither a run nor an exported model" in refused(str(tmp_path))
    own = str(write_folder(tmp_path / "own"))
    line = f"{winner}: has 11 classes, and set/val has 3 (allowed: data with the classes that it was trained on)"
    assert refused(str(winner), data=own) == line


def test_classes_of_other_names_are_refused(run: Run, tmp_path: Path) -> None:
    names = [f"class {k}" for k in range(11)]
    own = str(write_folder(tmp_path, classes=names))
    assert f"{run.folder}: calls class 0 'Sky', and set/val calls it 'class 0'" in refused(str(run.folder), data=own)
    point = str(run.folder.parent / "tiny.json")
    line = refused(point, data=own, weights=run.folder / WEIGHTS, size_hw=(32, 48))
    assert line.startswith(f"{point}: calls class 0 'Sky'")


def test_weights_of_another_network_name_the_tensors(run: Run, tmp_path: Path) -> None:
    wide = write_point(tmp_path, fusion_width=32)
    line = refused(wide, data=write_streets(tmp_path), weights=run.folder / WEIGHTS)
    assert "weights.safetensors: does not fit the network: " in line and "(16,) instead of (32,)" in line
    save_weights(build(run.file.spec, 5), tmp_path / "five.safetensors")
    point = write_point(tmp_path)
    line = refused(point, data=write_streets(tmp_path), weights=tmp_path / "five.safetensors")
    assert line.startswith(f"{point}: has 5 classes, and streets/val has 11")


def test_a_run_without_weights_or_result_says_what_to_do(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(run.file.lines())
    assert f"{tmp_path}: has no weights.safetensors: the command that began it goes on" in refused(str(tmp_path))
    save_file(load_file(run.folder / WEIGHTS), tmp_path / WEIGHTS)
    with pytest.raises(InputError, match="is not finished: the command that began it goes on with it"):
        export_run(tmp_path, out=tmp_path / "out")
    assert not (tmp_path / RESULT).exists()


def test_a_network_is_left_in_eval_mode(run: Run) -> None:
    network = load_subject(str(run.folder)).segmenter
    assert isinstance(network, Network) and not network.training
    assert not any(torch.isnan(parameter).any() for parameter in network.parameters())
