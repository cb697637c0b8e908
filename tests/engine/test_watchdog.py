"""Trainings that hang."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.engine.executors.watchdog import HARD, HungError, watched
from segsearch.engine.own_training import OwnTrial
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.study.store import StudyFolder
from tests.engine.studies import Staged, quick, study


class Hanging(Staged):
    """The second trial ends no second step."""

    def _train(self, task: Task, report: Report) -> TrialResult:
        if task.proposal.number == 2:
            report("train", 1, 9)
            time.sleep(60)
        return super()._train(task, report)


def test_a_trial_that_hangs_fails_and_the_study_goes_on(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGALRM)
    outcome = run_study(study(trials=3, step_seconds=0.3), tmp_path, work=Hanging())
    assert [r.state for r in outcome.records] == ["complete", "failed", "complete", "complete"]
    assert outcome.records[1].reason == "no training step ended within 0.3 s (step_seconds in the study's file)"
    assert outcome.records[1].latency is not None, "what was measured is kept"
    assert signal.getsignal(signal.SIGALRM) is before


class Building(Staged):
    """Each trial builds something between its steps and its scores, which takes longer than a step may."""

    def _train(self, task: Task, report: Report) -> TrialResult:
        report("train", 1, 9)
        report("evaluate", 0, 3)
        time.sleep(0.6)
        report("evaluate", 1, 3)
        return super()._train(task, report)


def test_what_is_new_may_take_longer_at_first(tmp_path: Path) -> None:
    outcome = run_study(study(trials=1, step_seconds=0.2), tmp_path, work=Building())
    assert [r.state for r in outcome.records] == ["complete"]


def test_a_training_of_ones_own_has_no_limit_unless_the_study_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segsearch.study.config.STEP_SECONDS", 0.2)

    def slow(network: torch.nn.Module, trial: OwnTrial) -> float:
        trial.report(1, 0.5)
        time.sleep(0.6)
        return 0.5

    for changes, state in (({}, "complete"), ({"step_seconds": 0.2}, "failed")):
        settings = quick(trials=1, sampler="random", proposals=1, **changes)
        records = StudyFolder(tmp_path / state)
        run_study(settings, records.path, objective=slow)
        assert [r.state for r in records.records()] == [state]
    assert run_study(study(trials=3), tmp_path / "s", work=Hanging()).records[1].state == "failed"


def test_steps_in_time_may_take_as_long_as_they_like_together() -> None:
    with watched(0.2) as alive:
        for _ in range(8):
            time.sleep(0.05)
            alive()
    with pytest.raises(HungError), watched(0.02):
        time.sleep(5)  # also before the first step, which may take longer


FROZEN = """
import signal, time
from segsearch.engine.executors.watchdog import watched
with watched(0.1) as alive:
    alive()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # as in a library that never comes back
    time.sleep(60)
"""


STOPPED = """
import pathlib, time
from segsearch.engine.executors.watchdog import watched
with watched(0.6) as alive:
    alive()
    pathlib.Path("{ready}").touch()
    time.sleep(0.3)
"""


def test_what_takes_no_exception_ends_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", FROZEN], capture_output=True, text=True, timeout=50)
    assert done.returncode == 1 and f"hangs since {HARD * 0.1:g} s" in done.stderr and "line 7" in done.stderr


def test_a_process_that_was_stopped_has_not_hung(tmp_path: Path) -> None:
    script = STOPPED.format(ready=tmp_path / "ready")
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.0)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=50) == (None, "") and process.returncode == 0
