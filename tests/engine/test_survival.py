"""A study in a process of its own, killed and interrupted while it really measures and trains."""

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from segsearch.engine.driver import run_study
from segsearch.engine.watch import Silent
from segsearch.study.config import StudyConfig
from segsearch.study.store import StudyFolder
from segsearch.study_files import CHECKPOINT
from tests.engine.studies import TIMER, child, points, quick

TRIALS = 4


def config() -> StudyConfig:
    """No gate and no learning, so that noise in the latencies does not decide what is proposed."""
    timer = TIMER | {"blocks": 1, "retakes": 0}
    return quick(trials=TRIALS, sampler="random", recipe={"iterations": 12, "batch_size": 2}, timer=timer)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study, never disturbed."""
    folder = tmp_path_factory.mktemp("survival") / "whole"
    assert run_study(config(), folder).end == "finished"
    return folder


def start(folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(child(config(), folder), stdout=pipe, stderr=pipe, text=True, env=environment)


def wait_for(process: subprocess.Popen[str], pattern: str) -> str:
    """Read the child's lines up to the first that matches."""
    assert process.stdout is not None
    for line in process.stdout:
        if re.match(pattern, line):
            return line
    raise AssertionError(f"{pattern!r} was never said: {process.communicate()[1][-2000:]}")


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err[-2000:]
    return out


def finished(folder: Path) -> dict[str, bytes]:
    return {p.parent.name: p.read_bytes() for p in folder.glob("trials/*/result.json")}


@pytest.mark.nightly
def test_killed_in_every_stage_nothing_is_lost(whole: Path, tmp_path: Path) -> None:
    """Each time a little later in the study: twice at the same point would count against the network."""
    folder, rng, before = tmp_path / "s", random.Random(5), dict[str, bytes]()
    latencies: dict[str, bytes] = {}
    for moment in ("measure", "train 1", "finished", "evaluate"):
        process = start(folder)
        wait_for(process, moment)
        time.sleep(rng.uniform(0.0, 0.1))
        process.kill()
        process.communicate()
        now = finished(folder)
        assert before.items() <= now.items(), "a finished trial was altered or lost"
        before = now
        measured = {p.parent.name: p.read_bytes() for p in folder.glob("trials/*/latency.json")}
        assert latencies.items() <= measured.items(), "a latency was measured twice"
        latencies = measured
    finish(start(folder))
    assert before.items() <= finished(folder).items()
    assert points(folder) == points(whole)
    records = StudyFolder(folder).records()
    assert len({r.spec_id for r in records}) == len(records) == TRIALS
    assert all(r.trained and r.trained_iterations == 12 for r in records)
    assert {r.number: r.scores for r in records} == {r.number: r.scores for r in StudyFolder(whole).records()}
    assert not list(folder.rglob(CHECKPOINT))


@pytest.mark.nightly
def test_killed_twice_in_the_same_trial_it_fails_and_the_study_finishes(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    for _ in range(2):
        process = start(folder)
        wait_for(process, "train 1")
        process.kill()
        process.communicate()
    finish(start(folder))
    records = StudyFolder(folder).records()
    assert sum(record.trained for record in records) == TRIALS
    (failed,) = (record for record in records if record.state == "failed")
    assert failed.number == 1 and "the process was killed 2 times while it was trained" in str(failed.reason)


def test_one_interrupt_ends_cleanly_and_goes_on(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    process = start(folder)
    wait_for(process, "finished 1")
    wait_for(process, "train [3-6]")
    process.send_signal(signal.SIGINT)
    said = finish(process, 130)
    assert "note stopping after this step" in said
    assert (
        f"closed interrupted; the same command goes on from here (1 of {TRIALS} trained, 0 rejected, 0 failed)" in said
    )
    assert (folder / "trials/0002" / CHECKPOINT).exists() and len(finished(folder)) == 1
    process = start(folder)
    step = int(wait_for(process, "train [1-9]").split()[1])
    assert step > 3, "the training began again"
    finish(process)
    assert points(folder) == points(whole)


@pytest.mark.nightly
def test_two_interrupts_end_at_once_and_go_on(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    process = start(folder)
    wait_for(process, "train 2")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    finish(start(folder))
    assert points(folder) == points(whole)


class Impatient(Silent):
    """Stops the study at the third step of the second training, and remembers the notes."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.notes = at, list[str]()

    def stage(self, number: int, what: str, done: int, total: int) -> None:
        if (what, done, number) == ("train", 3, self.at):
            raise KeyboardInterrupt

    def note(self, line: str) -> None:
        self.notes.append(line)


def test_a_damaged_checkpoint_costs_that_training_alone(whole: Path, tmp_path: Path) -> None:
    assert run_study(config(), tmp_path, progress=Impatient(at=2)).end == "interrupted"
    checkpoint = tmp_path / "trials/0002" / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:-500])
    before, latency = finished(tmp_path), checkpoint.with_name("latency.json").read_bytes()
    again = Impatient()
    assert run_study(config(), tmp_path, progress=again).end == "finished"
    assert sum(bool(re.match("trial 2 trained again from the start: .*checkpoint", n)) for n in again.notes) == 1
    assert before.items() <= finished(tmp_path).items() and points(tmp_path) == points(whole)
    assert checkpoint.with_name("latency.json").read_bytes() == latency
