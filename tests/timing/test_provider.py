"""The one provider of latencies: here, in new processes, from networks and from files."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from segsearch.count.cost import count
from segsearch.data.normalise import MEAN, STD
from segsearch.deployment.deploy import Deployed, deploy
from segsearch.deployment.onnx import to_onnx
from segsearch.errors import (
    DeviceError,
    InputError,
    MachineError,
    MissingExtraError,
    ProofError,
    SegsearchError,
    UnfitError,
)
from segsearch.measure.conditions import Conditions
from segsearch.measure.latency import example_image, measure
from segsearch.measure.load import Contention
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import TimerSettings
from segsearch.space.lower import lower
from segsearch.timing import FileSubject, NetworkSubject, fresh_network, joined, latency_of, process
from tests.engine.builders import latency as record
from tests.engine.builders import small, some_point

SIZE = (32, 48)
TIMER = TimerSettings(min_samples=5, min_seconds=0, warmup_block_seconds=0, max_warmup_seconds=0.1, blocks=2, retakes=0)
UNDER = Conditions(threads=1, timer=TIMER)
SPEC = lower(some_point(3, small()))
SUBJECT = NetworkSubject(spec=SPEC, classes=3, size_hw=SIZE, label="small")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("latency") / "model.onnx"
    deployed = deploy(fresh_network(SPEC, 3), SIZE, MEAN, STD)
    to_onnx(deployed, path, classes=("a", "b", "c"), colours=((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    return path


def test_here_a_network_is_built_deployed_and_timed() -> None:
    before = torch.random.get_rng_state()
    found = latency_of(SUBJECT, UNDER)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (found.label, found.spec_id, found.size_hw, found.batch) == ("small", SPEC.id, SIZE, 1)
    assert len(found.samples_ms) >= 5 and found.threads == 1 and found.process_medians_ms == ()


def test_the_deployed_form_is_what_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[nn.Module, torch.Tensor]] = []

    def watched(network: nn.Module, image: torch.Tensor, *more: Any, **named: Any) -> LatencyRecord:
        seen.append((network, image))
        return measure(network, image, *more, **named)

    monkeypatch.setattr("segsearch.timing.subjects.measure", watched)
    network = fresh_network(SPEC, 3).train()
    found = latency_of(replace(SUBJECT, network=network), UNDER)
    ((timed, image),) = seen
    assert isinstance(timed, Deployed) and timed.size_hw == SIZE and network.training
    assert not [m for m in timed.modules() if isinstance(m, nn.BatchNorm2d)]
    assert torch.equal(image, example_image(SIZE))
    cost = count(network, SIZE)
    assert (found.params, found.macs) == (cost.params, cost.macs)


def test_a_file_is_timed_at_the_size_that_it_takes(file: Path) -> None:
    macs = count(fresh_network(SPEC, 3), SIZE).macs
    under = replace(UNDER, backend="onnxruntime")
    found = latency_of(FileSubject(path=file, label="f", spec_id="abc", macs=macs), under)
    assert (found.label, found.spec_id, found.size_hw, found.macs) == ("f", "abc", SIZE, macs)
    assert found.floor_ms is not None and found.floor_ms < found.median_ms
    with pytest.raises(InputError, match="backend: 'eager' runs no exported graph"):
        latency_of(FileSubject(path=file), UNDER)


def test_new_processes_time_a_network_with_the_weights_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("numpy", "segsearch", "json", "torch"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not of ours')")  # what lies there is not run
    monkeypatch.chdir(tmp_path)
    told: list[tuple[str, int, int]] = []
    subject = replace(SUBJECT, network=fresh_network(SPEC, 3))
    found = latency_of(subject, UNDER, processes=2, report=lambda *seen: told.append(seen))
    assert len(found.process_medians_ms) == 2
    assert found.median_ms == pytest.approx(sum(found.process_medians_ms) / 2)
    assert len(found.samples_ms) >= 10 and (found.threads, found.spec_id, found.label) == (1, SPEC.id, "small")
    assert told == [("process", done, 2) for done in range(3)]


def test_a_new_process_times_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    found = latency_of(FileSubject(path=Path(file.name)), replace(UNDER, backend="onnxruntime"), processes=1)
    assert found.process_medians_ms == (found.median_ms,) and found.size_hw == SIZE


def test_what_a_process_refuses_is_raised_here(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"m\.onnx: is not an ONNX model") as error:
        latency_of(FileSubject(path=tmp_path / "m.onnx"), replace(UNDER, backend="onnxruntime"), processes=1)
    assert error.value.place.endswith("m.onnx")


@pytest.mark.parametrize(
    "error",
    [
        UnfitError("network", "cannot be run"),
        InputError("a", "b", ("c", "d")),
        DeviceError("device: x"),
        MachineError("this machine: x"),
        ProofError("no"),
        MissingExtraError("onnx", "export"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_comes_back_as_what_it_was(error: SegsearchError) -> None:
    again = process.error_of(process.told_of(error))
    assert (type(again), str(again)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("code", "kind", "line"),
    [
        ("import sys; sys.exit('no room\\nlast words')", ProofError, "last words"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", DeviceError, f"signal {signal.SIGKILL.value}"),
        ("print('{\"ready\": true}', flush=True); input(); raise SystemExit(3)", ProofError, "exit code 3"),
        ("print('nonsense')", ProofError, "exit code 0"),
    ],
)
def test_a_process_that_dies_says_its_last_words(
    code: str, kind: type[Exception], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "python_module", lambda *_: ([sys.executable, "-c", code], dict(os.environ)))
    with pytest.raises(kind, match="could not be timed in a new process") as error:
        latency_of(SUBJECT, UNDER, processes=1)
    assert line in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("processes", [0, -1, 101])
def test_a_number_of_processes_that_cannot_be_is_refused(processes: int) -> None:
    with pytest.raises(InputError, match=rf"processes: {processes} is not possible \(allowed: 1 to 100\)"):
        latency_of(SUBJECT, UNDER, processes=processes)


def test_a_join_is_the_median_of_the_medians_over_all_samples() -> None:
    found = joined([record(ms, "a") for ms in (5.0, 4.0, 9.0)])
    assert found.median_ms == 5.0 and found.process_medians_ms == (5.0, 4.0, 9.0)
    assert found.samples_ms == (5.0, 4.0, 9.0) and found.p10_ms == pytest.approx(4.2)
    assert found.steady and found.unsteady is None
    assert LatencyRecord.parse(found.model_dump(mode="json"), "record") == found


@pytest.mark.parametrize(
    ("references", "drifts", "others", "why"),
    [
        ((1.0, 1.02, 0.98), (0.02, 0.01, 0.03), 0.0, None),
        ((1.0, 1.0, 1.0), (0.0, 0.05, 0.0), 0.0, "the reference network moved 5 %"),
        ((1.0, 1.0, 2.1), (0.0, 0.0, 0.0), 0.0, "the reference network moved 110 %"),  # slow, and steady in itself
        ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 40.0, "other programs used 40 % of the processor"),
    ],
)
def test_a_join_is_steady_if_all_are_and_the_machine_was_as_quick_for_each(
    references: tuple[float, ...], drifts: tuple[float, ...], others: float, why: str | None
) -> None:
    busy = Contention(load_average=0.0, others_percent_before=0.0, others_percent_during=others)
    quiet = busy.model_copy(update={"others_percent_during": 0.0})
    records = [
        record(5.0).model_copy(update={"reference_ms": ms, "reference_drift": drift, "contention": seen})
        for ms, drift, seen in zip(references, drifts, (quiet, busy, quiet), strict=True)
    ]
    found = joined(records)
    assert (found.steady, found.unsteady, found.reference_ms) == (why is None, why, 1.0)
