"""A study in real processes, each of which is killed at a random moment, on trials that write what real ones do."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.study.store import StudyFolder
from tests.engine.studies import Staged, study

NEST = """
import os, sys, time
from pathlib import Path
from segsearch.study.config import StudyConfig
from segsearch.engine.driver import run_study
from segsearch.engine.watch import Silent
from segsearch.study_files import CHECKPOINT
from tests.engine.studies import Staged, study
import optuna, pandas, torch
torch.set_num_threads(1)

class Loud(Silent):
    def stage(self, number, what, done, total): print("event", flush=True)
    def finished(self, record): print("event", flush=True)

class Slow(Staged):
    def learnt(self, task, epoch):
        with open(task.folder / "trained.log", "a") as file: file.write(f"{epoch}\\n")
        time.sleep(0.004)

for line in sys.stdin:  # forked from one process that has loaded everything: a start takes no seconds
    folder, config = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        print("pid", os.getpid(), flush=True)
        outcome = run_study(StudyConfig.model_validate_json(config), Path(folder),
                            progress=Loud(), work=Slow(rungs=(1, 3), limit_ms=17.0))
        print("ended", outcome.end, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


class Nest:
    """Starts studies in processes of their own."""

    def __init__(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", NEST],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )

    def run(self, config: Any, folder: Path, kill_after: int | None = None, wait: float = 0.0) -> str | None:
        """Run a study until it ends, or kill it after so many events; return how it ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{folder}\t{config.model_dump_json()}\n")
        self._process.stdin.flush()
        events, end, pid = 0, None, 0
        for line in self._process.stdout:
            word, *rest = line.split()
            pid = int(rest[0]) if word == "pid" else pid
            end = rest[0] if word == "ended" else end
            events += word == "event"
            if word == "gone":
                return end
            if events == kill_after and word == "event":
                time.sleep(wait)
                os.kill(pid, signal.SIGKILL)
        raise AssertionError("the nest itself is gone")

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(timeout=60) == 0


@pytest.fixture(scope="module")
def nest() -> Iterator[Nest]:
    nest = Nest()
    yield nest
    nest.close()


def config(**changes: Any) -> Any:
    settings = {
        "recipe": {"epochs": 9, "batch_size": 2},
        "rungs": [1, 3],
        "trials": 3,
        "budget": {"latency_ms": 17.0},
        "sampler": "random",
    }
    return study(**(settings | changes))


def found(folder: Path) -> list[tuple[Any, ...]]:
    records = StudyFolder(folder).records()
    return [(r.number, r.spec_id, r.state, r.reached, r.scores) for r in records]


def killed_and_resumed(
    nest: Nest, settings: Any, folder: Path, rng: random.Random, most: int, longest: int = 16
) -> int:
    """Kill a study again and again until it ends, or so often; check that it ends as if it had not been killed."""
    assert nest.run(settings, folder / "whole") == "finished"
    kills, torn, before = 0, folder / "torn", dict[str, bytes]()
    while kills < most:
        # at least one step further each time: twice at one point would count against the network
        end = nest.run(settings, torn, kill_after=rng.randint(4, longest), wait=rng.uniform(0.0, 0.01))
        now = {str(path): path.read_bytes() for path in torn.glob("trials/*/result.json")}
        assert before.items() <= now.items(), "a finished trial was lost, or trained twice"
        before = now
        if end is not None:
            break
        kills += 1
    assert nest.run(settings, torn) == "finished", "it is stuck"
    assert found(torn) == found(folder / "whole")
    for log in torn.rglob("trained.log"):
        assert max(Counter(log.read_text().split()).values(), default=0) <= 1, f"an epoch was trained twice: {log}"
    return kills


def test_killed_five_times_a_study_ends_as_if_it_had_not_been(nest: Nest, tmp_path: Path) -> None:
    assert killed_and_resumed(nest, config(), tmp_path, random.Random(time.time_ns()), most=5, longest=7) >= 4


@pytest.mark.nightly
@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_killed_a_hundred_times_studies_end_as_if_they_had_not_been(nest: Nest, sampler: str, tmp_path: Path) -> None:
    kills, seed, rng = 0, 0, random.Random(time.time_ns())
    while kills < 100:
        settings = config(trials=12, sampler=sampler, seed=seed)
        kills += killed_and_resumed(nest, settings, tmp_path / str(seed), rng, most=100)
        seed += 1


def test_a_second_process_on_a_study_is_refused_and_the_first_goes_on(nest: Nest, tmp_path: Path) -> None:
    class Twice(Staged):
        def __call__(self, task: Task, report: Report) -> TrialResult:
            if len(self.stages) == 3:
                assert nest.run(config(), tmp_path) is None, "a second process ran the same study"
            return super().__call__(task, report)

    assert run_study(config(), tmp_path, work=Twice(rungs=(1, 3), limit_ms=17.0)).end == "finished"
    assert nest.run(config(), tmp_path) == "finished", "what runs it was let go"
