"""Studies that name the precision that is shipped: what is timed, scored, compared, exported and timed again in it."""

import json
from pathlib import Path

import pytest
import torch

from segsearch.artefacts.make import Label, write_file, write_onnx
from segsearch.data.open import open_data
from segsearch.engine.driver import run_study
from segsearch.engine.finalize import finalize, prepare
from segsearch.errors import DeviceError, InputError, SegsearchError
from segsearch.leaderboard.rerank import rerank, study_protocol
from segsearch.measure.backends.onnx_file import check_file
from segsearch.measure.backends.table import BACKENDS, FILE_BACKENDS, file_backend, ready_backend
from segsearch.measure.backends.tensor_rt import TensorRt
from segsearch.measure.conditions import Conditions
from segsearch.measure.machine import find_device
from segsearch.models.network import build
from segsearch.report.trials_csv import trials_frame
from segsearch.run.folder import read_result
from segsearch.study.final import seed_folder
from segsearch.study.identity import decisions
from segsearch.study.promotion import Scores
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study_files import WEIGHTS
from segsearch.timing import fresh_network
from segsearch.training.weights import load_weights
from segsearch.winner.export import export_winner
from segsearch.winner.shipped import ShippedForm
from tests.engine.studies import quick

RECIPE = {"epochs": 3, "batch_size": 2, "scale": [1.0, 1.0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain torch in bfloat16, which any processor computes in, however slowly."""
    path = tmp_path_factory.mktemp("shipped") / "study"
    config = quick(trials=2, sampler="random", recipe=RECIPE, rungs=[1], precision="bfloat16", confirm=1, keep="all")
    assert run_study(config, path).end == "finished"
    return path


def trained(folder: Path) -> list[TrialRecord]:
    return [record for record in StudyFolder(folder).records() if record.trained]


def test_the_gate_and_the_front_are_in_it(folder: Path) -> None:
    taken = [r for record in trained(folder) for r in (record.latency, record.confirmed) if r is not None]
    assert len(taken) > len(trained(folder)) and {record.precision for record in taken} == {"bfloat16"}


def test_networks_are_compared_by_it_and_float32_stands_beside(folder: Path) -> None:
    records = trained(folder)
    for record in records:
        assert record.shipped_scores is not None and record.scores is not None and record.rungs
        assert record.miou == record.shipped_scores.miou
    assert any(r.shipped_scores.confusion != r.scores.confusion for r in records)
    final = Scores.of(records).at[None]
    assert {number: scored.miou for number, scored in final.items()} == {r.number: r.miou for r in records}
    frame = trials_frame(records)
    assert list(frame["miou"]) == [r.miou for r in records] and set(frame["precision"]) == {"bfloat16"}
    assert list(frame["float32_miou"]) == [r.scores.miou for r in records if r.scores]


@pytest.mark.nightly
def test_final_trainings_are_scored_and_timed_in_it(folder: Path) -> None:
    finals = prepare(folder, top=1, seeds=1)
    finalist = finalize(finals).finalists[0]
    there = seed_folder(folder, finalist.trial, 0)
    result, config = read_result(there), StudyFolder(folder).read_study().config
    assert result is not None and result.shipped_scores is not None and config.shipped is not None
    network = build(finals.records[0].spec, 11)
    load_weights(network, there / WEIGHTS)
    again = config.shipped.scores(network, config.data.size, open_data(config.data).val)
    assert result.shipped_scores == again and finalist.miou == again.miou
    assert finalist.latency is not None and finalist.latency.precision == "bfloat16"


def test_another_precision_is_another_study_and_none_is_as_ever(folder: Path) -> None:
    file = StudyFolder(folder).read_study()
    plain = file.model_copy(update={"config": file.config.model_copy(update={"precision": None})})
    assert decisions(file) == decisions(plain) | {"precision": "bfloat16"} and "precision" not in decisions(plain)
    with pytest.raises(InputError, match='holds a study with precision "bfloat16", not null'):
        run_study(quick(trials=2, sampler="random", recipe=RECIPE, rungs=[1]), folder)


def test_rerank_takes_it_and_shows_another(folder: Path) -> None:
    assert study_protocol(folder).precision == "bfloat16"
    assert study_protocol(folder, backend="onnxruntime").precision == "float32"
    with pytest.raises(InputError, match=r"precision: int8 is of quantised files.*export STUDY --int8"):
        study_protocol(folder, backend="onnxruntime", precision="int8")
    found = rerank(folder, study_protocol(folder, precision="float16"), all_trials=True)
    assert {net.again.precision for net in found.networks} == {"float16"} and not found.failed


def test_where_no_file_is_run_the_files_are_float32_and_the_card_says_so(folder: Path, tmp_path: Path) -> None:
    card = export_winner(folder, out=tmp_path / "out", formats=["onnx"])
    assert card.search is not None and card.search.precision == "bfloat16"
    assert card.artefact is not None and (card.artefact.backend, card.artefact.precision) == ("onnxruntime", "float32")
    assert "eager, bfloat16, on" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.nightly if name == "onnxruntime" else ()) for name in FILE_BACKENDS]
)
@pytest.mark.parametrize(
    "precision", [*(pytest.param(name, marks=pytest.mark.nightly) for name in ("float32", "bfloat16")), "float16"]
)
def test_the_export_speaks_of_the_studys_runtime(name: str, precision: str, tmp_path: Path) -> None:
    """Here or not at all: what this machine cannot compute in is refused before anything is written."""
    device = BACKENDS[name]().devices[0]
    config = quick(trials=1, backend=name, precision=precision, device=device, keep="all", budget={"fps": 1})
    try:
        ready_backend(name, find_device(device), precision)
        assert file_backend(name).weights[precision] != "bfloat16"
    except (SegsearchError, AssertionError):
        with pytest.raises(SegsearchError):
            run_study(config, tmp_path / "study")
        assert not (tmp_path / "study").exists()
        return
    run_study(config, tmp_path / "study")
    card = export_winner(tmp_path / "study", out=tmp_path / "out", formats=["onnx"], int8=True)
    assert card.artefact is not None and card.search is not None
    assert (card.artefact.backend, card.artefact.precision) == (name, precision)
    assert (card.search.backend, card.search.precision) == (name, precision)
    shipped = card.artefacts[0] if (name, precision) == ("onnxruntime", "float32") else card.artefacts[-1]
    assert (shipped.precision, shipped.timing, shipped.miou) == (precision, card.artefact, card.artefact_miou)
    assert shipped.runtime.startswith(name) and (tmp_path / "out" / shipped.files[0].name).is_file()
    assert card.miou == pytest.approx(card.artefact_miou, abs=0.02)
    assert {form.precision for form in card.artefacts} == {"float32", "int8", precision}
    assert json.loads((tmp_path / "out" / "model.json").read_text())["artefact"]["precision"] == precision


def test_float16_has_a_file_of_its_own(folder: Path, tmp_path: Path) -> None:
    holds = "float16"
    form = ShippedForm(under=Conditions(backend="tensorrt", device="cuda", precision=holds), timed=True, holds=holds)
    network = fresh_network(trained(folder)[0].spec, 11)
    label = Label(classes=[f"class {i}" for i in range(11)], colours=[(0, 0, 0)] * 11, notes={})
    written = write_onnx(network, (32, 48), tmp_path, label)
    form.write(written.deployed, lambda net, name: write_file(net, tmp_path / name, label))
    example = torch.zeros(1, 3, 32, 48, dtype=torch.uint8)
    assert check_file(tmp_path / f"model_{holds}.onnx", example, holds, TensorRt.weights) == holds
    assert check_file(tmp_path / "model.onnx", example, None, TensorRt.weights) == "float32"


@pytest.mark.parametrize("name", FILE_BACKENDS)
def test_what_no_file_could_hold_is_refused(name: str, tmp_path: Path) -> None:
    backend = file_backend(name)
    for precision in (word for word, holds in backend.weights.items() if holds == "bfloat16"):
        with pytest.raises(InputError, match=r"needs a file in bfloat16.*\(allowed: "):
            run_study(quick(backend=name, precision=precision, device=backend.devices[0]), tmp_path / "study")


def test_what_openvino_would_compute_in_float32_is_refused(folder: Path, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has bfloat16")
    line = r"^precision: OpenVINO does not run bfloat16 on this processor \(available: float32, int8\)$"
    with pytest.raises(DeviceError, match=line):
        run_study(quick(backend="openvino", precision="bfloat16"), tmp_path / "study")
    with pytest.raises(DeviceError, match=line):
        study_protocol(folder, backend="openvino", precision="bfloat16")
