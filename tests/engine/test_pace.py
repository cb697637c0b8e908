"""Studies that are given minutes, on a clock that only the simulated trials move."""

import json
import math
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from segsearch.engine import opening
from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.engine.pace import PROCESS_SECONDS, Pace
from segsearch.engine.plan import plan
from segsearch.errors import InputError
from segsearch.measure.record import LatencyRecord
from segsearch.progress import Report
from segsearch.report.plan import plan_table
from segsearch.result import TrialResult
from segsearch.study.config import StudyConfig
from segsearch.study.outcome import StudyOutcome
from segsearch.study.pareto import front
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study_files import CHECKPOINT, SPENT
from tests.engine.builders import SMALL, latency
from tests.engine.studies import Staged, study


class Clock:
    """Seconds since some moment; moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Timed(Staged):
    """Each epoch takes a second, or ``slow`` seconds in the trial of that number, and each measurement two."""

    def __init__(self, clock: Clock, slow: tuple[int, float] = (0, 1.0), **settings: Any) -> None:
        super().__init__(**settings)
        self.clock, self.slow = clock, slow

    def __call__(self, task: Task, report: Report) -> TrialResult:
        number, seconds = self.slow

        def timed(what: str, done: int, total: int) -> None:
            self.clock.now += seconds if task.proposal.number == number else 1.0
            report(what, done, total)

        if task.stage == "measure":
            self.clock.now += 2.0
        found = super().__call__(task, timed)
        return found.model_copy(update={"seconds": found.seconds | {"measure": 2.0}} if task.stage == "measure" else {})


def config(**changes: Any) -> StudyConfig:
    settings = {
        "recipe": {"epochs": 9, "batch_size": 2},
        "sampler": "random",
        "trials": None,
        "minutes": 2,
        "confirm": 2,
    }
    return study(**(settings | changes))


def timed(clock: Clock, again: list[int] | None = None) -> Any:
    """Stands for the timing at the end: each network takes as long as its processes do."""

    def time(record: TrialRecord) -> LatencyRecord:
        clock.now += 2 * (PROCESS_SECONDS + 2.0)
        if again is not None:
            again.append(record.number)
        return latency(record.latency_ms, record.spec_id)

    return time


def searched(
    folder: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    work: Any,
    again: list[int] | None = None,
    **changes: Any,
) -> StudyOutcome:
    monkeypatch.setattr(opening, "Pace", partial(Pace, clock=clock))
    return run_study(config(**changes), folder, work=work, time=timed(clock, again))


@pytest.mark.parametrize("rungs", [(), (1, 3)])
def test_a_study_ends_by_its_minutes_with_its_front_timed_again(
    rungs: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, again = Clock(), list[int]()
    outcome = searched(tmp_path, clock, monkeypatch, Timed(clock, rungs=rungs), again, rungs=list(rungs), minutes=4)
    assert outcome.end == "time" and outcome.exit_code == 0 and "its 4 minutes are over" in outcome.line
    assert 200 < clock.now - 1000 <= 240
    trained = [r for r in outcome.records if r.trained]
    assert len(trained) >= 4 and {r.number for r in front(outcome.records)} <= set(again)
    assert all(r.state in ("complete", "stopped") for r in outcome.records)
    assert all('"running":false' in path.read_text() for path in tmp_path.rglob("attempt.json"))


class SlowStart(Timed):
    """The very first training stage takes half a minute longer, as a machine does that is busy for a moment."""

    def __call__(self, task: Task, report: Report) -> TrialResult:
        found = super().__call__(task, report)
        if task.stage == "train" and task.proposal.number == 1 and task.until == 1:
            self.clock.now += 30.0
            return found.model_copy(update={"seconds": found.seconds | {"train": 31.0}})
        return found


def test_slow_first_steps_end_no_study_before_a_network_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    outcome = searched(tmp_path, clock, monkeypatch, SlowStart(clock, rungs=(1,)), rungs=[1])
    assert outcome.end == "time" and clock.now - 1000 <= 120
    assert any(record.trained for record in outcome.records)


def test_earlier_runs_count_and_more_minutes_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, work = Clock(), Timed(Clock(), die_at=5)
    work.clock = clock
    with pytest.raises(SystemExit):
        searched(tmp_path, clock, monkeypatch, work)
    taken = clock.now - 1000
    known = json.loads((tmp_path / SPENT).read_text())["seconds"]
    assert known == taken, "also where an error ends the study"
    clock.now = 0.0  # the machine was started again
    searched(tmp_path, clock, monkeypatch, Timed(clock))
    assert known + clock.now <= 120 < known + clock.now + 40
    before, clock.now = len(StudyFolder(tmp_path).records()), 0.0
    assert searched(tmp_path, clock, monkeypatch, Timed(clock)).end == "time" and clock.now == 0.0
    assert len(searched(tmp_path, clock, monkeypatch, Timed(clock), minutes=3).records) > before


def test_what_takes_too_long_is_stopped_for_the_timing_at_the_end_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, again = Clock(), list[int]()
    outcome = searched(tmp_path, clock, monkeypatch, Timed(clock, slow=(4, 1000.0)), again)
    assert outcome.end == "time" and [r.number for r in outcome.records] == [1, 2, 3] and again
    assert not (tmp_path / "trials/0004" / CHECKPOINT).exists(), "its first epoch was not over"
    work = Timed(clock)
    more = searched(tmp_path, clock, monkeypatch, work, minutes=60, trials=5)
    assert more.end == "finished" and [r.number for r in more.records if r.trained] == [1, 2, 3, 4, 5]


def test_trials_and_minutes_hold_together_and_one_of_them_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    assert searched(tmp_path, clock, monkeypatch, Timed(clock), trials=3).end == "finished"
    with pytest.raises(InputError, match="trials is missing, or minutes in its place"):
        config(minutes=None)
    assert config().drawn_first == 3 and config(startup=None).drawn_first == 8
    with pytest.raises(InputError, match="minutes"):
        config(minutes=0)


def test_an_interrupt_is_one_whatever_the_time_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    class Stopped(Timed):
        def _train(self, task: Task, report: Report) -> TrialResult:
            raise KeyboardInterrupt

    assert searched(tmp_path, clock, monkeypatch, Stopped(clock)).end == "interrupted"
    (tmp_path / SPENT).write_text('{"sec')
    assert StudyFolder(tmp_path).spent() == 0.0, "torn, it begins anew"


def test_a_dry_run_says_what_fits() -> None:
    planned = plan(config(rungs=[1, 3], narrow=SMALL), first=1)
    assert planned.trainings == pytest.approx(120 / planned.seconds_per_training) and planned.epochs == 9
    assert planned.networks == pytest.approx(planned.trainings / (1 / 9 + (2 / 9) / 3 + (6 / 9) / 9))
    assert replace(planned, wanted=2, seconds_left=math.inf).trainings == 2
    said = Console(width=200, file=StringIO())
    said.print(plan_table(planned))
    assert f"with the epochs of {planned.trainings:.3g} whole trainings, in 2 minutes" in said.file.getvalue()  # type: ignore[attr-defined]
