import json
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from segsearch import trial
from segsearch.data.config import StreetsData
from segsearch.data.open import open_data
from segsearch.errors import InputError, MachineError, UnfitError
from segsearch.measure.backends.eager import Eager
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import TimerSettings
from segsearch.models.network import build
from segsearch.result import Decision, TrialResult
from segsearch.space.lower import lower
from segsearch.spec.network import NetworkSpec
from segsearch.study.budget import Budget
from segsearch.study.gate import gate
from segsearch.study_files import CHECKPOINT, ERROR, LATENCY, WEIGHTS
from segsearch.training.evaluate import evaluate
from segsearch.training.loop import train
from segsearch.training.recipe import Recipe
from segsearch.training.weights import load_weights
from segsearch.trial import TrialSetup, fresh_network, measure_trial, read_measurements, run_trial, train_trial
from tests.engine.builders import latency

SIZE = (32, 48)
TIMER = TimerSettings(min_samples=3, min_seconds=0.01, warmup_block_seconds=0.01, max_warmup_seconds=0.1)
POINT: dict[str, Any] = {
    "input_scale": 1.0,
    "align_corners": False,
    "finest": "P2",
    "coarsest": "P3",
    "pool": "avg",
    "encoder_width": 0.25,
    "encoder": "fpe",
    "encoder.fpe.p": 2,
    "encoder.fpe.q": 2,
    "encoder.fpe.expansion": 1,
    "encoder.fpe.dilations": "1",
    "encoder.fpe.cascade": False,
    "encoder.fpe.long_skip": False,
    "encoder.fpe.code": "paper",
    "context": "none",
    "fusion_width": 16,
    "fusion": "fpn",
    "fusion.fpn.style": "sfnet",
    "smooth": False,
    "head": "plain",
    "head.plain.kernel": 1,
}


@pytest.fixture(scope="module")
def spec() -> NetworkSpec:
    return lower(POINT)


@pytest.fixture(scope="module")
def setup() -> TrialSetup:
    splits = open_data(StreetsData(size=SIZE, train=6, val=2))
    return TrialSetup(
        splits=splits,
        size_hw=SIZE,
        recipe=Recipe(iterations=6, batch_size=2, auxiliary="neck"),
        gate=partial(gate, Budget()),
        device="cpu",
        under=Conditions(threads=1, timer=TIMER),
    )


def test_a_trial_measures_trains_scores_and_keeps_its_weights(
    spec: NetworkSpec, setup: TrialSetup, tmp_path: Path
) -> None:
    stages: list[str] = []
    result = run_trial(spec, setup, tmp_path, seed=1, report=lambda what, done, total: stages.append(what))
    assert list(dict.fromkeys(stages)) == ["build", "measure", "train", "evaluate"]
    assert result.state == "complete" and result.reason is None and result.spec_id == spec.id
    assert result.scores is not None and result.scores.images == 2 and result.report_scores is None
    assert result.latency is not None and result.latency.size_hw == SIZE and result.latency.threads == 1
    assert result.trained_iterations == 6 and result.final_loss is not None
    assert set(result.seconds) == {"build", "measure", "train", "evaluate"}
    network = build(spec, len(setup.splits.train.classes))
    load_weights(network, tmp_path / WEIGHTS)
    assert result.params == sum(p.numel() for p in network.parameters())


def test_images_that_the_search_never_sees_are_scored_apart(
    spec: NetworkSpec, setup: TrialSetup, tmp_path: Path
) -> None:
    other = replace(setup, splits=replace(setup.splits, report=setup.splits.train))
    result = run_trial(spec, other, tmp_path, seed=1)
    assert result.report_scores is not None and result.report_scores.images == 6
    assert result.scores is not None and result.scores.images == 2


@pytest.mark.parametrize("by_count", [True, False])
def test_what_the_gate_refuses_is_not_trained(
    by_count: bool, spec: NetworkSpec, setup: TrialSetup, tmp_path: Path
) -> None:
    budget = Budget(params=10) if by_count else Budget(latency_ms=1e-6)
    result = run_trial(spec, replace(setup, gate=partial(gate, budget)), tmp_path, seed=1)
    assert result.reason is not None and result.reason == budget.refusal(
        result.params or 0, result.macs or 0, result.latency.median_ms if result.latency else None
    )
    assert (result.state, result.scores) == ("rejected", None) and result.params and result.macs
    assert (result.latency is None) == by_count == (result.measurements is None)
    assert not (tmp_path / WEIGHTS).exists() and not (tmp_path / CHECKPOINT).exists()


def test_a_trial_run_again_keeps_its_latency(spec: NetworkSpec, setup: TrialSetup, tmp_path: Path) -> None:
    first = run_trial(spec, setup, tmp_path, seed=1)
    again = run_trial(spec, setup, tmp_path, seed=1)
    assert again.latency == first.latency and again.scores == first.scores


def test_a_torn_latency_is_measured_again(spec: NetworkSpec, setup: TrialSetup, tmp_path: Path) -> None:
    first = run_trial(spec, setup, tmp_path, seed=1)
    text = (tmp_path / LATENCY).read_text()
    (tmp_path / LATENCY).write_text(text[:50])
    again = run_trial(spec, setup, tmp_path, seed=1)
    assert again.latency is not None and again.latency != first.latency
    (kept,) = json.loads((tmp_path / LATENCY).read_text())
    assert kept["median_ms"] == again.latency.median_ms


class Measurements:
    """Stands for the timer: gives scripted latencies, each measured beside a reference network of the given latency."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *script: tuple[float, float, bool]) -> None:
        self.taken, self._script = 0, list(script)
        monkeypatch.setattr(trial, "latency_of", self)

    def __call__(self, *anything: object, **more: object) -> LatencyRecord:
        median_ms, reference_ms, steady = self._script[self.taken]
        self.taken += 1
        return latency(median_ms).model_copy(update={"reference_ms": reference_ms, "steady": steady})


def test_a_network_waits_until_it_is_known_or_was_measured_four_times(
    spec: NetworkSpec, setup: TrialSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Measurements(monkeypatch, (8.0, 2.0, True), (7.5, 2.0, True), (9.0, 2.1, True), (8.0, 2.0, True))
    setup = replace(setup, gate=partial(gate, Budget(latency_ms=6.0)))
    for taken in (1, 2, 3):
        result = run_trial(spec, setup, tmp_path, seed=1, rest_ms=1.0)
        assert (result.state, result.measurements, clock.taken) == ("waiting", taken, taken)
        assert result.reason is not None and "allowed 6.00 ms" in result.reason and not result.unsure
        assert not (tmp_path / WEIGHTS).exists() and len(read_measurements(tmp_path / LATENCY)) == taken
    result = run_trial(spec, setup, tmp_path, seed=1, rest_ms=1.0)
    assert (result.state, result.measurements, result.unsure) == ("complete", 4, True)
    assert result.latency is not None and result.latency.median_ms == 7.5
    again = run_trial(spec, setup, tmp_path, seed=1, rest_ms=1.0)
    assert (again.state, again.unsure, again.latency, clock.taken) == ("complete", True, result.latency, 4)


@pytest.mark.parametrize(("second", "state"), [((5.0, 1.0, False), "complete"), ((8.0, 1.0, True), "rejected")])
def test_a_later_measurement_settles_it(
    second: tuple[float, float, bool],
    state: str,
    spec: NetworkSpec,
    setup: TrialSetup,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Measurements(monkeypatch, (8.0, 1.0, False), second)
    setup = replace(setup, gate=partial(gate, Budget(latency_ms=7.0)))
    assert run_trial(spec, setup, tmp_path, seed=1).state == "waiting"
    result = run_trial(spec, setup, tmp_path, seed=1)
    assert (result.state, result.measurements, result.unsure) == (state, 2, False)
    assert result.latency is not None and result.latency.median_ms == second[0]


def test_what_is_learnt_of_the_machine_meanwhile_can_settle_it_without_a_measurement(
    spec: NetworkSpec, setup: TrialSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Measurements(monkeypatch, (8.0, 2.0, True))
    setup = replace(setup, gate=partial(gate, Budget(latency_ms=6.0)))
    assert run_trial(spec, setup, tmp_path, seed=1, rest_ms=1.0).state == "waiting"
    other = replace(setup, gate=partial(gate, Budget(latency_ms=9.0)))
    assert run_trial(spec, other, tmp_path, seed=1, rest_ms=1.0).state == "complete" and clock.taken == 1


def test_the_single_measurement_of_older_versions_is_read(spec: NetworkSpec, setup: TrialSetup, tmp_path: Path) -> None:
    first = latency(3.0)
    (tmp_path / LATENCY).write_text(json.dumps(first.model_dump(mode="json")))
    assert run_trial(spec, setup, tmp_path, seed=1).latency == first


def test_stopped_in_the_middle_it_ends_with_the_same_weights(
    spec: NetworkSpec, setup: TrialSetup, tmp_path: Path
) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if (what, done) == ("train", 3):
            raise KeyboardInterrupt

    steps: list[int] = []
    whole = run_trial(spec, setup, tmp_path / "whole", seed=1)
    with pytest.raises(KeyboardInterrupt):
        run_trial(spec, setup, tmp_path / "torn", seed=1, report=stop)
    torn = run_trial(
        spec, setup, tmp_path / "torn", seed=1, report=lambda w, d, t: steps.append(d) if w == "train" else None
    )
    assert steps == [0, 4, 5, 6]
    assert (tmp_path / "torn" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert torn.scores == whole.scores and torn.final_loss == whole.final_loss


@pytest.mark.nightly
def test_the_seed_decides_the_weights(spec: NetworkSpec, setup: TrialSetup, tmp_path: Path) -> None:
    weights = list[bytes]()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(len(weights))
        before = torch.random.get_rng_state()
        run_trial(spec, setup, tmp_path / name, seed=seed)
        assert torch.equal(torch.random.get_rng_state(), before)
        weights.append((tmp_path / name / WEIGHTS).read_bytes())
    assert weights[0] == weights[1] != weights[2]


def test_scores_on_the_way_are_those_of_a_training_that_ended_there_and_change_nothing(
    spec: NetworkSpec, setup: TrialSetup, tmp_path: Path
) -> None:
    setup = replace(setup, recipe=Recipe(epochs=4, batch_size=4, auxiliary="neck"))  # of 6 images: 6 steps
    plain = run_trial(spec, setup, tmp_path / "plain", seed=1)
    scored = run_trial(spec, replace(setup, rungs=(1, 2)), tmp_path / "scored", seed=1)
    assert (tmp_path / "plain" / WEIGHTS).read_bytes() == (tmp_path / "scored" / WEIGHTS).read_bytes()
    assert plain.rungs == () and plain.scores == scored.scores
    assert [(rung.steps, rung.epochs) for rung in scored.rungs] == [(2, 1), (3, 2)]
    network = fresh_network(spec, 11, "neck", 1)
    train(network, setup.recipe, setup.splits.train, seed=1, channels_last=True, stop_at=3)
    assert scored.rungs[1].miou == evaluate(network, setup.splits.val).miou
    assert TrialResult.parse(scored.model_dump(mode="json"), "result") == scored


def test_scores_on_the_way_are_reported_and_can_be_stopped(
    spec: NetworkSpec, setup: TrialSetup, tmp_path: Path
) -> None:
    setup = replace(setup, recipe=Recipe(epochs=4, batch_size=4), rungs=(1,))
    told = list[tuple[str, int]]()

    def stopping(what: str, done: int, total: int) -> None:
        told.append((what, done))
        if (what, done) == ("evaluate", 1):
            raise KeyboardInterrupt

    whole = run_trial(spec, setup, tmp_path / "whole", seed=1)
    with pytest.raises(KeyboardInterrupt):
        train_trial(spec, setup, tmp_path / "torn", seed=1, until=1, report=stopping)
    assert told == [("train", 0), ("train", 1), ("evaluate", 0), ("evaluate", 1)]
    result = train_trial(spec, setup, tmp_path / "torn", seed=1)
    assert (result.rungs, result.scores) == (whole.rungs, whole.scores)
    assert (tmp_path / "torn" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()


def test_paused_at_each_rung_and_moved_in_between_it_ends_with_the_same_weights(
    spec: NetworkSpec, setup: TrialSetup, tmp_path: Path
) -> None:
    setup = replace(setup, recipe=Recipe(epochs=4, batch_size=4, auxiliary="neck"), rungs=(1, 2))
    whole = run_trial(spec, setup, tmp_path / "whole", seed=1)
    steps: list[int] = []
    result = measure_trial(spec, setup, tmp_path / "0", seed=1)
    assert result.state == "passed" and result.latency is not None and result.scores is None
    for stage, until in enumerate((1, 2, None)):
        here = shutil.copytree(tmp_path / str(stage), tmp_path / str(stage + 1))
        later = train_trial(
            spec, setup, here, seed=1, until=until, report=lambda w, d, t: steps.append(d) if w == "train" else None
        )
        assert later.latency is None and later.state == ("paused" if until else "complete")
        result = later.after(result)
        assert [rung.epochs for rung in result.rungs] == [1, 2][: until or 2] and (result.scores is None) == bool(until)
    assert [step for step in steps if step] == [1, 2, 3, 4, 5, 6], "a step was taken twice"
    assert (here / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert (result.rungs, result.scores, result.params) == (whole.rungs, whole.scores, whole.params)
    assert set(result.seconds) == set(whole.seconds) and result.latency is not None


def test_a_training_that_went_otherwise_than_planned_says_so(
    spec: NetworkSpec, setup: TrialSetup, tmp_path: Path, room_for_two_images: None
) -> None:
    recipe = setup.recipe.model_copy(update={"batch_size": 4})
    result = run_trial(spec, replace(setup, recipe=recipe), tmp_path, seed=1)
    assert result.state == "complete" and len(result.notes) == 1
    assert result.notes[0].startswith("went back from step 1 to step 0, as memory was short, and on with 2 images")


def test_divergence_is_a_result(spec: NetworkSpec, setup: TrialSetup, tmp_path: Path) -> None:
    recipe = Recipe(iterations=6, batch_size=2, optimizer="sgd", learning_rate=1e30)
    result = run_trial(spec, replace(setup, recipe=recipe), tmp_path, seed=1)
    assert result.state == "failed" and result.reason is not None and "diverged" in result.reason
    assert result.latency is not None and result.params and result.scores is None
    assert "Traceback" in (tmp_path / ERROR).read_text()
    assert "\n" not in result.reason


def test_running_out_of_memory_is_a_result(spec: NetworkSpec, setup: TrialSetup, tmp_path: Path) -> None:
    result = run_trial(spec, replace(setup, gate=_no_memory), tmp_path, seed=1)
    assert (result.state, result.reason) == ("failed", "OutOfMemoryError: no room")


def test_a_trial_short_of_memory_is_tried_once_more(spec: NetworkSpec, setup: TrialSetup, tmp_path: Path) -> None:
    def too_large(*known: object) -> Decision:
        torch.empty(2**50)  # four petabytes
        raise AssertionError("never reached")

    short = replace(setup, gate=too_large)
    with pytest.raises(MachineError, match=r"this machine: .*memory.*cure: free memory"):
        run_trial(spec, short, tmp_path / "a", seed=1)
    result = run_trial(spec, short, tmp_path / "a", seed=1)
    assert result.state == "failed" and result.reason is not None and "memory" in result.reason
    with pytest.raises(MachineError):
        run_trial(spec, short, tmp_path / "b", seed=1)
    assert run_trial(spec, setup, tmp_path / "b", seed=1).state == "complete"


def test_a_network_that_the_backend_cannot_take_is_a_result(
    spec: NetworkSpec, setup: TrialSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its study goes on; every other InputError ends it, as a full disk does."""

    def prepare(*anything: object, **more: object) -> object:
        raise error

    monkeypatch.setattr(Eager, "prepare", prepare)
    error: InputError = UnfitError("network", "cannot be recorded as a CUDA graph: it waits")
    result = run_trial(spec, setup, tmp_path, seed=1)
    assert result.state == "failed" and result.reason == f"UnfitError: {error}" and result.params
    assert "Traceback" in (tmp_path / ERROR).read_text()
    error = InputError("engines", "cannot be written: No space left on device")
    with pytest.raises(InputError, match="No space left"):
        run_trial(spec, setup, tmp_path, seed=1)


def _no_memory(*known: object) -> Decision:
    raise torch.OutOfMemoryError("no room")


def test_a_damaged_checkpoint_costs_the_training_alone_and_is_noted(
    spec: NetworkSpec, setup: TrialSetup, tmp_path: Path
) -> None:
    tmp_path.joinpath(CHECKPOINT).write_bytes(b"not a checkpoint")
    result = run_trial(spec, setup, tmp_path, seed=1)
    assert result.state == "complete" and result.trained_iterations == 6
    assert len(result.notes) == 1
    assert re.match(rf"trained again from the start: .*{CHECKPOINT}: cannot be read as a checkpoint", result.notes[0])
