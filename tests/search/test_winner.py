import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segsearch.artefacts import make
from segsearch.errors import BudgetError, InputError, ProofError
from segsearch.export.card import Card, read_card
from segsearch.export.onnx import OnnxModel
from segsearch.search.driver import run_study
from segsearch.search.store import StudyFolder
from segsearch.search.winner import choose, export_winner

from .builders import record
from .studies import quick

FORMS = {"model.onnx", "model.pt2", "model.xml", "model.bin"}
FILES = FORMS | {"model.json", "MODEL_CARD.md", "example.png"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("winner") / "study"
    recipe = {"iterations": 20, "batch_size": 2, "auxiliary": "both", "scale": [1.0, 1.0]}
    run_study(quick(trials=2, recipe=recipe, budget={"fps": 20}), path)
    return path


@pytest.fixture(scope="module")
def exported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Card, Path]:
    out = tmp_path_factory.mktemp("out") / "deep" / "model"
    return export_winner(folder, out=out, int8=True), out


def test_the_winner_is_written_whole(exported: tuple[Card, Path]) -> None:
    card, out = exported
    assert {p.name for p in out.iterdir()} == FILES | {"model_int8.onnx"} and [
        p.name for p in out.parent.iterdir()
    ] == ["model"]
    assert read_card(out) == card
    assert card.name in (out / "MODEL_CARD.md").read_text()
    with Image.open(out / "example.png") as picture:
        assert picture.size == (96, 32)


def test_the_card_tells_of_the_best_trial(exported: tuple[Card, Path], folder: Path) -> None:
    card, best = exported[0], choose(StudyFolder(folder).records())
    assert (card.spec, card.miou, card.search.latency_ms) == (best.spec_id, best.miou, best.latency_ms)
    assert card.budget_fps == 20 and card.artefact is not None and card.artefact.meets(20) is not None
    assert card.artefact.backend == "onnxruntime" and card.artefact.threads == 1 and card.search.backend == "eager"
    assert card.agreement.images == card.images == 3 and card.agreement.fraction >= 0.999
    assert card.artefact_miou == pytest.approx(card.miou, abs=1e-3)


def test_every_form_is_listed_with_its_proof(exported: tuple[Card, Path]) -> None:
    card, out = exported
    float32 = [form for form in card.artefacts if form.precision == "float32"]
    assert [form.format for form in float32] == ["onnx", "pt2", "openvino"]
    assert all(form.agreement.fraction >= 0.999 and form.agreement.images == 3 for form in float32)
    for file in (file for form in card.artefacts for file in form.files):
        content = (out / file.name).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file.sha256, file.size_bytes)
        assert file.sha256 in (out / "MODEL_CARD.md").read_text()
    assert card.sha256 == card.artefacts[0].files[0].sha256 and card.agreement == card.artefacts[0].agreement


def test_int8_is_measured_and_never_hidden(exported: tuple[Card, Path]) -> None:
    card, out = exported
    rounded = card.artefacts[-1]
    assert (rounded.precision, rounded.calibration_images) == ("int8", 8) and rounded.timing is not None
    assert rounded.miou is not None and 0 < rounded.agreement.fraction <= 1
    page = (out / "MODEL_CARD.md").read_text()
    assert f"mIoU {100 * rounded.miou:.2f} %" in page and "than before" in page


def test_the_file_is_timed_in_a_fresh_process(exported: tuple[Card, Path]) -> None:
    card = exported[0]
    assert card.artefact is not None and card.artefact.fresh_process and card.artefact == card.artefacts[0].timing
    assert card.same_device


def test_the_file_carries_its_own_description(exported: tuple[Card, Path]) -> None:
    card, out = exported
    model = OnnxModel(out / "model.onnx")
    assert tuple(model.classes) == card.classes and model.size_hw == card.size_hw
    assert model.notes == {"name": card.name, "spec": card.spec, "study": "tiny"}


def test_an_earlier_export_is_replaced_and_anything_else_is_not(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists and is not an exported model"):
        export_winner(folder, out=out)
    (out / "thesis.txt").rename(out / "model.json")
    with pytest.raises(InputError, match=r"model\.json: is not JSON"):
        export_winner(folder, out=out)
    assert (out / "model.json").read_text() == "years of work"
    (out / "model.json").unlink()
    for _ in range(2):
        export_winner(folder, out=out, formats=["onnx"])
    assert {p.name for p in out.iterdir()} == FILES - FORMS | {"model.onnx"} and list(tmp_path.iterdir()) == [out]


def test_a_file_that_does_something_else_is_not_left_behind(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network proven against is not the one exported: the last convolution's bias is moved in between."""

    real = make.deploy

    def wrong(network: Any, *rest: Any) -> Any:
        deployed = real(network, *rest)
        for name, parameter in deployed.named_parameters():
            if name.endswith("head.classify.bias"):
                parameter[0] += 1000.0
        return deployed

    monkeypatch.setattr(make, "deploy", wrong)
    with pytest.raises(ProofError, match="agrees with its network on 0"):
        export_winner(folder, out=tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_budget_that_nobody_meets_names_the_nearest(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="no trained network reaches 1e\\+06 FPS; the nearest is"):
        export_winner(folder, out=tmp_path / "model", fps=1e6)
    assert not list(tmp_path.iterdir())


def test_a_damaged_weight_file_is_named(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "study"
    shutil.copytree(folder, copy)
    for path in copy.glob("trials/*/weights.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        export_winner(copy, out=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_other_weights_than_the_trained_ones_prove_nothing(folder: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    copy = tmp_path / "study"
    shutil.copytree(folder, copy)
    for path in copy.glob("trials/*/weights.safetensors"):
        tensors = load_file(path)
        tensors["head.classify.bias"] += 1000.0 * torch.arange(len(tensors["head.classify.bias"]))
        save_file(tensors, path)
    with pytest.raises(ProofError, match=r"of the pixels, .*weights\.safetensors of trial \d is damaged"):
        export_winner(copy, out=tmp_path / "model")
    assert list(tmp_path.iterdir()) == [copy]


def test_data_that_is_drawn_lies_nowhere(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--root: the study's data is streets, which lies nowhere"):
        export_winner(folder, out=tmp_path / "model", root="elsewhere")


def test_one_is_chosen_by_name_or_id() -> None:
    records = [record(0, miou=0.2, origin="named:fpenet"), record(1, miou=0.9), record(2, latency_ms=1.0)]
    assert choose(records).number == 1
    assert choose(records, point="fpenet").number == 0
    assert choose(records, point=records[1].spec_id).number == choose(records, point=records[1].name).number == 1
    with pytest.raises(InputError, match="'sfnet' is not among the trained networks"):
        choose(records, point="sfnet")
    with pytest.raises(InputError, match="is not among the trained"):
        choose(records, point=records[2].name)
    with pytest.raises(BudgetError, match=r"fpenet reaches 200\.0 FPS in the search, not 300"):
        choose(records, point="fpenet", fps=300)


def test_the_card_is_plain_json(exported: tuple[Card, Path]) -> None:
    data = json.loads((exported[1] / "model.json").read_text())
    assert data["file"] == "model.onnx" and np.isfinite(data["miou"])
