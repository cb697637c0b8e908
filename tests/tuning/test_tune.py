"""A network's files really built, run in processes of their own, scored and timed; and whatever goes wrong on the way."""

import dataclasses
import io
import json
import os
import runpy
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from segsearch.artefacts.load import batched
from segsearch.deployment.images import Bytes
from segsearch.deployment.onnx import OnnxModel
from segsearch.engine.driver import run_study
from segsearch.errors import EndedError, InputError
from segsearch.measure.timer import TimerSettings
from segsearch.progress import silent
from segsearch.report.tuning import shown, verdict, write_tuned
from segsearch.run.train import Run, train_run
from segsearch.study.store import StudyFolder
from segsearch.training.evaluate import evaluate, evaluate_masks
from segsearch.tuning import record
from segsearch.tuning.files import FOLDER, Files
from segsearch.tuning.fine_tune import fine_tuned
from segsearch.tuning.process import FileProcess
from segsearch.tuning.record import PLAIN, TRIED, Book, Candidate, Timed, Tried, fastest
from segsearch.tuning.subjects import Subject, of_study, of_trained
from segsearch.tuning.tune import Tuned, deliver, tune
from segsearch.tuning.wish import Wish, abilities
from tests.engine.studies import quick
from tests.run.runs import SIZE, tiny

TIMER = TimerSettings(min_samples=3, min_seconds=0.0, max_warmup_seconds=0.2, blocks=2, retakes=0)
QUICK = Wish(backends=("onnxruntime",), processes=1, timer=TIMER, within_points=5.0, variants=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    return train_run(tiny(folder, "{iterations: 30, batch_size: 4, learning_rate: 0.01}"), folder / "out")


@pytest.fixture(scope="module")
def subject(run: Run) -> Subject:
    return of_trained(str(run.folder), weights=None, data=None, root=None, size_hw=None)


@pytest.fixture(scope="module")
def found(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tuned, Path]:
    out = tmp_path_factory.mktemp("tuned")
    return tune(subject, out, QUICK), out


def by_name(tuned: Tuned) -> dict[str, Tried]:
    return {str(tried.candidate): tried for tried in tuned.tried}


def test_all_are_proven_scored_and_timed(found: tuple[Tuned, Path], subject: Subject) -> None:
    tuned, _ = found
    tried = by_name(tuned)
    assert tuned.finished and {"onnxruntime float32, plain", "onnxruntime float32"} <= tried.keys()
    assert any(one.candidate.precision == "int8" for one in tried.values())
    for one in tried.values():
        assert one.failed is None and one.proven is not None and one.latency_ms is not None
        assert one.proven.agreement.images == len(subject.val) == tuned.header.images
        if one.candidate.precision == "float32":
            assert one.proven.agreement.fraction >= 0.999
            assert one.proven.miou == pytest.approx(tuned.header.miou, abs=2e-3)
    assert tuned.plain is tried["onnxruntime float32, plain"] and tuned.chosen is not None
    assert tuned.chosen.cost == min(t.cost or 0.0 for t in tuned.tried if t.candidate.graph != PLAIN)


def test_the_benchmarks_page(found: tuple[Tuned, Path]) -> None:
    script = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "tune.py"))
    page = script["page"]([found[0]], "python benchmarks/tune.py")
    assert found[0].chosen is not None and f"**{found[0].chosen.candidate}**" in page
    assert f"**{found[0].gain:.2f} times** as fast" in page


@pytest.mark.nightly
def test_each_step_is_left_out_too(subject: Subject, tmp_path: Path) -> None:
    tuned = tune(subject, tmp_path, dataclasses.replace(QUICK, variants=True, precisions=("float32",)))
    graphs = {tried.candidate.graph for tried in tuned.tried if tried.failed is None}
    assert {PLAIN, "deployed", "no mask"} <= graphs and len(graphs) > 3


def test_the_delivered_file_is_what_was_measured(found: tuple[Tuned, Path], subject: Subject) -> None:
    """Scored by code that shares nothing with the process that scored it."""
    tuned, out = found
    (path,) = deliver(tuned, out)
    assert tuned.chosen is not None and tuned.chosen.proven is not None
    scores = evaluate_masks(batched(OnnxModel(path, threads=1).predict), subject.val)
    assert scores.miou == pytest.approx(tuned.chosen.proven.miou, abs=1e-9)
    written = write_tuned(tuned, out, files=[path], within_points=5.0, command="segsearch tune x --out y")
    assert all(each.stat().st_size > 100 for each in written)
    told = json.loads((out / "tuned.json").read_text())
    assert told["chosen"] == tuned.chosen.candidate.model_dump(mode="json")
    page = (out / "TUNED.md").read_text()
    assert str(tuned.chosen.candidate) in page and "segsearch tune x --out y" in page


def test_the_same_command_measures_nothing_twice(found: tuple[Tuned, Path], subject: Subject) -> None:
    tuned, out = found
    before = (out / TRIED).read_bytes()
    assert tune(subject, out, QUICK) == tuned and (out / TRIED).read_bytes() == before


def test_stopped_it_goes_on(found: tuple[Tuned, Path], subject: Subject, tmp_path: Path) -> None:
    """Time that is up, then again without a limit; a last line that was cut off is dropped."""
    none = tune(subject, tmp_path, dataclasses.replace(QUICK, minutes=0.0))
    assert not none.finished and none.chosen is None and not none.tried
    assert "stopped before all was tried" in verdict(none, 5.0, None)[0]
    whole = (found[1] / TRIED).read_bytes().splitlines(keepends=True)
    (tmp_path / TRIED).write_bytes(b"".join(whole[:3]) + whole[3][:20])
    tuned = tune(subject, tmp_path, QUICK)
    assert tuned.finished and by_name(tuned).keys() == by_name(found[0]).keys()


def test_what_failed_by_chance_is_forgotten_by_the_next_session(tmp_path: Path) -> None:
    late, broken = Candidate(backend="onnxruntime"), Candidate(backend="onnxruntime", graph="no mask")
    book = Book(tmp_path)
    made_up = {"name": "net", "weights": "0" * 16, "size_hw": SIZE, "classes": 3, "data": "streets/val", "images": 1}
    here = {"device": "cpu", "device_name": "abacus", "threads": 1, "machine": "desk", "versions": {}}
    book.begin(record.Header.parse({**made_up, **here, "miou": 0.5}, "header"))
    book.add(Tried(candidate=late, failed="did not answer", by_chance=True))
    book.add(Tried(candidate=broken, failed="is not an ONNX model"))
    assert book.get(late) is not None, "once in a session is enough"
    again = Book(tmp_path)
    assert again.get(late) is None and again.get(broken) is not None
    again.add(Tried(candidate=late, proven=None))
    assert [tried.failed for tried in Book(tmp_path).all()] == [None, "is not an ONNX model"]


@pytest.mark.nightly
def test_what_was_killed_or_late_is_tried_again_and_what_failed_is_not(
    found: tuple[Tuned, Path], subject: Subject, tmp_path: Path
) -> None:
    """A patience that was too short, then one that is not; a failure that is no chance stays one."""
    wish = dataclasses.replace(QUICK, precisions=("float32",))
    late = tune(subject, tmp_path, dataclasses.replace(wish, patience_seconds=0.01))
    assert late.chosen is None
    assert all("did not answer within 0.01 s" in (one.failed or "") and one.by_chance for one in late.tried)
    book = Book(tmp_path)
    broken = Candidate(backend="onnxruntime", graph="no mask")
    book.add(Tried(candidate=broken, failed="is not an ONNX model"))
    tuned = tune(subject, tmp_path, wish)
    assert tuned.chosen is not None and tuned.plain is not None
    assert [str(one.candidate) for one in tuned.tried if one.failed is not None] == [str(broken)]
    assert not any(one.by_chance for one in tuned.tried)


def test_other_networks_are_refused(found: tuple[Tuned, Path], subject: Subject) -> None:
    with pytest.raises(InputError, match=r"was begun with threads 1, not 2 \(allowed: another --out\)"):
        tune(subject, found[1], dataclasses.replace(QUICK, threads=2))
    (found[1] / "broken").mkdir()
    (found[1] / "broken" / TRIED).write_text('{"version": 1}\n')
    with pytest.raises(InputError, match=r"tried.jsonl:1"):
        Book(found[1] / "broken")


@pytest.mark.nightly
def test_without_calibration_images_int8_is_a_failure_with_its_reason(subject: Subject, tmp_path: Path) -> None:

    def none() -> Any:
        return iter(())

    tuned = tune(dataclasses.replace(subject, calibration=none), tmp_path, QUICK)
    (failed,) = (tried for tried in tuned.tried if tried.candidate.precision == "int8")
    assert failed.failed == "calibration: no images to take ranges from" and failed.latency_ms is None
    assert tuned.chosen is not None and tuned.chosen.candidate.precision == "float32"


def test_layers_stay_exact_where_int8_loses_too_much(subject: Subject, tmp_path: Path) -> None:
    files = Files(subject, tmp_path)
    rounded = Candidate(backend="onnxruntime", precision="int8")
    layers = files.layers("deployed")
    assert len(layers) == len(set(layers)) > 3
    mixed = files.path(rounded.model_copy(update={"exact_layers": len(layers)}))
    whole = files.path(Candidate(backend="onnxruntime"))
    image = subject.val[0][0]
    assert np.array_equal(OnnxModel(mixed).predict(image), OnnxModel(whole).predict(image)), "nothing is rounded"
    assert not np.array_equal(OnnxModel(files.path(rounded)).predict(image), OnnxModel(whole).predict(image))


@pytest.mark.nightly
def test_the_network_is_trained_for_int8_where_that_loses_too_much(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file may lose less than nothing, so that all that mends int8 is tried."""
    monkeypatch.setattr(record, "NO_GAIN", float("inf"))
    wish = dataclasses.replace(QUICK, within_points=-100.0, fine_tune_epochs=2, precisions=("int8",))
    before = {name: tensor.clone() for name, tensor in subject.network.state_dict().items()}
    tuned = tune(subject, tmp_path, wish)
    tried = by_name(tuned)
    assert tuned.finished and tried["onnxruntime int8, 2 epochs of fine-tuning"].proven is not None
    assert any(one.candidate.exact_layers for one in tried.values()), "as training was not enough"
    assert all(torch.equal(tensor, before[name]) for name, tensor in subject.network.state_dict().items())
    shipped = OnnxModel(tmp_path / FOLDER / "int8-deployed-2epochs.onnx").predict(subject.val[0][0])
    assert not np.array_equal(shipped, OnnxModel(tmp_path / FOLDER / "int8-deployed.onnx").predict(subject.val[0][0]))
    assert any("--qat" in line for line in verdict(tuned, -100.0, None)) is False


@pytest.mark.nightly
def test_what_int8_does_not_make_faster_is_not_mended(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "NO_GAIN", 0.0)
    tuned = tune(subject, tmp_path, dataclasses.replace(QUICK, within_points=-100.0, fine_tune_epochs=2))
    assert tuned.finished and "onnxruntime int8" in by_name(tuned)
    assert not any(one.candidate.fine_tuned_epochs or one.candidate.exact_layers for one in tuned.tried)


def test_a_fine_tuning_that_was_stopped_goes_on(subject: Subject, tmp_path: Path) -> None:
    seen: list[int] = []

    def stop(what: str, done: int, total: int) -> None:
        seen.append(done)
        if done == 2 and len(seen) == 2:
            raise TimeoutError

    whole = fine_tuned(subject, 2, tmp_path / "whole.safetensors", silent)
    with pytest.raises(TimeoutError):
        fine_tuned(subject, 2, tmp_path / "again.safetensors", stop)
    again = fine_tuned(subject, 2, tmp_path / "again.safetensors", stop)
    assert seen == [1, 2, 3, 4]
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in whole.state_dict().items())
    assert fine_tuned(subject, 2, tmp_path / "whole.safetensors", stop) is not whole and seen == [1, 2, 3, 4]


def opened(path: Path, seconds: float = 60.0) -> FileProcess:
    return FileProcess(path, "onnxruntime", "float32", "cpu", 1, seconds)


def test_a_process_that_is_late_or_dies(subject: Subject, tmp_path: Path) -> None:
    path = Files(subject, tmp_path).path(Candidate(backend="onnxruntime"))
    image: Bytes = subject.val[0][0]
    with pytest.raises(EndedError, match=r"did not answer within 0.01 s, and was ended"), opened(path, 0.01):
        pass
    with opened(path) as process:
        assert process.predict(image).shape == SIZE
        threading.Timer(0.3, lambda: os.kill(process._process.pid, signal.SIGKILL)).start()
        end = time.monotonic() + 30
        with pytest.raises(EndedError, match="was ended by signal 9"):
            while time.monotonic() < end:
                process.predict(image)
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"torn.onnx: is not an ONNX model"), opened(torn):
        pass


@pytest.mark.nightly
def test_a_damaged_file_is_a_failure_with_its_reason(subject: Subject, tmp_path: Path) -> None:
    Files(subject, tmp_path)
    (tmp_path / FOLDER / "float32-plain.onnx").write_bytes(b"nothing")
    told: list[str] = []
    tuned = tune(subject, tmp_path, dataclasses.replace(QUICK, precisions=("float32",)), note=told.append)
    failed = by_name(tuned)["onnxruntime float32, plain"]
    assert failed.failed is not None and "float32-plain.onnx: is not an ONNX model" in failed.failed
    assert any("is not an ONNX model" in line for line in told)
    assert tuned.chosen is not None and tuned.gain is None


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(backends=("nope",)), "--backend: 'nope' is not known"),
        (Wish(precisions=("int4",)), "--precision: 'int4' is not known"),
    ],
)
def test_what_nobody_has_is_refused(wish: Wish, said: str) -> None:
    with pytest.raises(InputError) as error:
        abilities(wish)
    assert str(error.value).startswith(said.split(" is ")[0])


def made_up(found: Tuned, **given: tuple[float, float]) -> tuple[Tried, ...]:
    """Candidates named by precision, with (milliseconds, mIoU)."""
    proven = found.tried[0].proven
    assert proven is not None
    return tuple(
        Tried(
            candidate=Candidate(backend="onnxruntime", precision=name),
            proven=proven.model_copy(update={"miou": miou}),
            timed=(Timed(median_ms=ms, reference_ms=1.0),),
        )
        for name, (ms, miou) in given.items()
    )


def test_the_fastest_within_the_loss(found: tuple[Tuned, Path]) -> None:
    tried = made_up(found[0], float32=(4.0, 0.500), bfloat16=(3.0, 0.499), int8=(1.0, 0.480))
    for within, name in ((0.0, "float32"), (0.2, "bfloat16"), (2.5, "int8")):
        best = fastest(tried, 0.5, within)
        assert best is not None and best.candidate.precision == name
    assert fastest(tried[2:], 0.5, 0.2) is None
    failed = tried[1].model_copy(update={"failed": "no"})
    assert fastest((failed, tried[0]), 0.5, 0.2) == tried[0]


def test_files_are_compared_with_what_ran_beside_them(found: tuple[Tuned, Path]) -> None:
    """A file that was timed while the machine was slow is no slower for it."""
    quick, slow = made_up(found[0], float32=(4.0, 0.5), bfloat16=(6.0, 0.5))
    slow = slow.model_copy(update={"timed": (Timed(median_ms=6.0, reference_ms=2.0, unsteady="busy"),)})
    assert (quick.cost, slow.cost, slow.latency_ms, slow.steady) == (4.0, 3.0, 6.0, False)
    assert fastest((quick, slow), 0.5, 0.2) == slow


def test_a_frame_rate_that_only_an_inaccurate_file_reaches(found: tuple[Tuned, Path]) -> None:
    tried = made_up(found[0], float32=(10.0, 0.500), int8=(4.0, 0.480))
    header = found[0].header.model_copy(update={"miou": 0.5})
    tuned = Tuned(header=header, tried=tried, chosen=tried[0], finished=True)
    said = verdict(tuned, 0.2, 200.0)
    assert said[-1] == "only onnxruntime int8 reaches 200 FPS (250.0), and it loses 2.00 points"
    assert verdict(tuned, 0.2, 300.0)[-1] == "no file reaches 300 FPS"
    chosen, offered = verdict(tuned, 0.2, 50.0)
    assert chosen.startswith("chosen: onnxruntime float32") and offered.startswith("int8 loses 2.00 points: with --qat")
    assert len(verdict(tuned, 2.5, 50.0)) == 1
    slow = made_up(found[0], float32=(10.0, 0.500), int8=(12.0, 0.480))
    assert len(verdict(dataclasses.replace(tuned, tried=slow), 0.2, 50.0)) == 1, "nothing is gained by it"
    with (console := Console(width=80, file=io.StringIO())).capture() as printed:
        console.print(shown(tuned, 0.2))
    assert "…" not in printed.get(), "figures are cut"


@pytest.mark.nightly
def test_a_studys_winner_is_tuned_with_its_own_data_and_threads(tmp_path: Path) -> None:
    run_study(quick(trials=2, sampler="random", threads=1), tmp_path / "study")
    tuned = of_study(tmp_path / "study")
    records = [record for record in StudyFolder(tmp_path / "study").records() if record.trained]
    assert tuned.threads == 1 and tuned.name in {record.name for record in records}
    best = next(record for record in records if record.name == tuned.name)
    assert evaluate(tuned.network, tuned.val).miou == pytest.approx(best.miou, abs=1e-6)
    with pytest.raises(InputError):
        of_study(tmp_path)
