"""Networks that wait to be measured again: when, in what order, and that a study on a busy machine loses none of them."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segsearch import trial
from segsearch.engine.agenda import Agenda
from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.engine.watch import Silent
from segsearch.measure.record import LatencyRecord
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.study.gate import MEASUREMENTS
from segsearch.study.outcome import StudyOutcome
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study.trials import Trials
from segsearch.study_files import LATENCY
from segsearch.trial import read_measurements, write_measurements
from tests.engine.builders import latency, record, result
from tests.engine.studies import luck, made_up, quick, study
from tests.study.test_gate import LOADS, measured


class Waits:
    """Work whose trials of these numbers wait so often before they are trained; as on disk, so a kill changes nothing.

    ``die_at``: the run, counted over all trials, that is killed before it writes anything.
    """

    def __init__(self, often: dict[int, int], unsure: bool = False, die_at: int | None = None) -> None:
        self.often, self.unsure, self.die_at, self.runs = often, unsure, die_at, list[int]()

    def __call__(self, task: Task, report: Report) -> TrialResult:
        number = task.proposal.number
        self.runs.append(number)
        if len(self.runs) == self.die_at:
            raise SystemExit("killed")
        taken = [*read_measurements(task.folder / LATENCY), latency(9.0)]
        write_measurements(task.folder / LATENCY, taken)
        if len(taken) <= self.often.get(number, 0):
            facts: dict[str, Any] = {
                "state": "waiting",
                "reason": "9.00 ms, allowed 5.00 ms",
                "measurements": len(taken),
            }
            return result(task.proposal.point, latency_ms=9.0, **facts)
        unsure = self.unsure and number in self.often
        return made_up(task, report).model_copy(update={"measurements": len(taken), "unsure": unsure})


def test_measurements_are_spread_over_the_study(tmp_path: Path) -> None:
    """After one more finished trial, then after two, then after four."""
    work = Waits({2: 3})
    outcome = run_study(study(trials=12), tmp_path, work=work)
    assert work.runs == [1, 2, 3, 2, 4, 5, 2, 6, 7, 8, 9, 2, 10, 11, 12]
    assert [r.measurements for r in outcome.records if r.number == 2] == [4] and len(outcome.records) == 12


def test_what_waits_counts_as_wanted_and_is_not_waited_for_at_the_end(tmp_path: Path) -> None:
    work = Waits({2: 3, 3: 1})
    outcome = run_study(study(trials=4), tmp_path, work=work)
    assert work.runs == [1, 2, 3, 4, 2, 2, 2, 3]
    assert outcome.end == "finished" and {r.number for r in outcome.records} == {1, 2, 3, 4}


@pytest.mark.parametrize("trials", [2, 3, 7])
def test_waiting_trials_end_where_proposals_do(trials: int, tmp_path: Path) -> None:
    outcome = run_study(study(trials=9, proposals=trials), tmp_path, work=Waits({1: 3, 2: 2}))
    assert outcome.end == "proposals" and len(outcome.records) == trials


def test_a_space_that_is_exhausted_leaves_nothing_waiting(tmp_path: Path) -> None:
    outcome = run_study(quick(trials=99), tmp_path, work=Waits({n: 3 for n in range(1, 13)}))
    assert outcome.end == "exhausted" and len(outcome.records) == 12 and all(r.trained for r in outcome.records)


@pytest.mark.parametrize("die_at", range(1, 12))
def test_a_kill_loses_no_measurement_and_no_network(die_at: int, tmp_path: Path) -> None:
    whole = run_study(study(trials=6), tmp_path / "whole", work=Waits({2: 3, 4: 2}))
    work = Waits({2: 3, 4: 2}, die_at=die_at)
    with pytest.raises(SystemExit):
        run_study(study(trials=6), tmp_path / "torn", work=work)
    before = {path: len(read_measurements(path)) for path in (tmp_path / "torn").glob("trials/*/latency.json")}
    torn = run_study(study(trials=6), tmp_path / "torn", work=Waits({2: 3, 4: 2}))
    assert all(len(read_measurements(path)) >= taken for path, taken in before.items())
    assert {(r.number, r.spec_id, r.measurements) for r in torn.records} == {
        (r.number, r.spec_id, r.measurements) for r in whole.records
    }


def test_a_person_hears_why_a_network_waits(tmp_path: Path) -> None:
    class Heard(Silent):
        lines: list[str] = []  # noqa: RUF012

        def note(self, line: str) -> None:
            self.lines.append(line)

    run_study(study(trials=3), tmp_path, work=Waits({2: 1}), progress=Heard())
    (line,) = [line for line in Heard.lines if "waits" in line]
    assert line.startswith("trial 2: ") and line.endswith("(measurement 1 of 4: 9.00 ms, allowed 5.00 ms)")


def test_networks_that_are_unsure_come_on_top_of_the_wanted_ones_up_to_half_as_many() -> None:
    sure = [record(i, miou=0.5) for i in range(4)]
    unsure = [record(i, miou=0.5, unsure=True) for i in range(10, 16)]

    def ends(records: list[TrialRecord], wanted: int) -> bool:
        return Agenda(study(trials=wanted), images=8).next(Trials(records, [])) == "finished"

    assert [ends([*sure, *unsure[:count]], 6) for count in range(7)] == [False] * 5 + [True] * 2
    assert ends([*sure, record(20)], 1) and not ends(sure[:2], 3) and ends(sure[:3], 3)


def test_an_unsure_network_costs_no_other_one_its_place(tmp_path: Path) -> None:
    config = study(trials=6, sampler="random")
    idle = run_study(config, tmp_path / "idle", work=made_up)
    busy = run_study(config, tmp_path / "busy", work=Waits({2: 3, 5: 3}, unsure=True))
    assert busy.end == "finished" and "8 trained, 6 wanted, 2 of them unsure" in busy.line
    assert {r.spec_id for r in idle.records} < {r.spec_id for r in busy.records}


class Machine:
    """Stands for the timer: networks of known latencies, on a machine that each measurement finds under some load."""

    def __init__(self, load: Callable[[int], str], seed: int = 0) -> None:
        self._load, self._rng, self.taken = load, random.Random(seed), 0

    def __call__(self, subject: Any, *anything: object, **more: object) -> LatencyRecord:
        self.taken += 1
        return measured(true_ms(subject.spec.id), LOADS[self._load(self.taken)], self._rng)


def true_ms(spec_id: str) -> float:
    return 2 + 8 * luck(spec_id + "ms")


LIMIT_MS = 7.8


def searched(
    folder: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[int], str], seed: int = 0, **changes: Any
) -> StudyOutcome:
    """A real study of tiny networks, in which only the clock is scripted."""
    monkeypatch.setattr(trial, "latency_of", Machine(load, seed))
    recipe = {"iterations": 1, "batch_size": 2}
    data = {"name": "streets", "size": [32, 48], "train": 2, "val": 1}
    settings = {"trials": 6, "sampler": "random", "recipe": recipe, "data": data, "budget": {"latency_ms": LIMIT_MS}}
    return run_study(quick(**(settings | changes)), folder)


@pytest.mark.parametrize(
    "load",
    [
        lambda taken: "shared",
        lambda taken: "bursts",
        lambda taken: "quiet" if taken % 3 == 1 else "throttled",
        lambda taken: ("shared", "quiet", "bursts")[taken % 3],
    ],
    ids=["busy all the while", "bursts", "a slow host", "now and then"],
)
def test_a_busy_machine_loses_no_network_that_an_idle_one_keeps(
    load: Callable[[int], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = searched(tmp_path / "idle", monkeypatch, lambda taken: "quiet")
    kept = {r.spec_id for r in idle.records if r.trained}
    assert len(kept) == 6 and any(r.state == "rejected" for r in idle.records), "the budget rejects some of them"
    busy = searched(tmp_path / "busy", monkeypatch, load)
    trained = {r.spec_id: r for r in busy.records if r.trained}
    assert kept <= set(trained) and busy.end == "finished"
    assert all(true_ms(spec_id) <= 1.5 * LIMIT_MS or r.unsure for spec_id, r in trained.items())
    for r in busy.records:
        taken = read_measurements(StudyFolder(tmp_path / "busy").trial(r.number) / LATENCY)
        assert r.latency in taken and len(taken) == r.measurements and 1 <= len(taken) <= MEASUREMENTS
        assert r.unsure <= (len(taken) == MEASUREMENTS)


def test_a_host_that_was_slow_at_first_costs_no_network_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was rejected while nobody knew how fast the machine can be is tried again once that is known."""
    idle = searched(tmp_path / "idle", monkeypatch, lambda taken: "quiet")
    slow = searched(tmp_path / "slow", monkeypatch, lambda taken: "throttled" if taken < 5 else "quiet", seed=3)
    first = json.loads((tmp_path / "slow" / "trials" / "0001" / "result.json").read_text())
    assert first["measurements"] >= 1
    kept = {r.spec_id for r in idle.records if r.trained}
    assert kept <= {r.spec_id for r in slow.records if r.trained}
    numbers = [r.number for r in slow.records]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    "sampler", ["tpe", "pareto", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("nsga2", "gp"))]
)
def test_every_sampler_hears_that_the_machine_is_faster_than_it_seemed(
    sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At that moment a network has just been measured, and is to be trained."""

    def load(taken: int) -> str:
        return "throttled" if taken < 3 else "quiet"

    whole = searched(tmp_path, monkeypatch, load, seed=2, sampler=sampler, startup=3, shortlist=1)
    assert whole.end == "finished" and sum(r.trained for r in whole.records) >= 6
    again = [json.loads(path.read_text()) for path in tmp_path.glob("trials/*/result.json")]
    assert any(r["state"] == "complete" and r["measurements"] > 1 for r in again), "none was taken up again"
