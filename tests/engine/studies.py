"""Studies small enough for tests, and a stand-in for training that is quick and a pure function of the network."""

import hashlib
import sys
from pathlib import Path
from typing import Any

from segsearch.engine.executors.base import Task
from segsearch.files import write_atomic
from segsearch.progress import Report, silent
from segsearch.result import Rung, TrialResult
from segsearch.space.lower import lower
from segsearch.study.budget import Budget
from segsearch.study.config import StudyConfig, parse_study
from segsearch.study_files import CHECKPOINT, WEIGHTS
from tests.engine.builders import SMALL, result

TIMER = {"min_samples": 3, "min_seconds": 0.01, "warmup_block_seconds": 0.01, "max_warmup_seconds": 0.1}


def study(**changes: Any) -> StudyConfig:
    """Twelve pictures of 32 x 48 pixels, a few steps, no named points, one thread."""
    data = {
        "name": "tiny",
        "data": {"name": "streets", "size": [32, 48], "train": 8, "val": 3},
        "recipe": {"iterations": 4, "batch_size": 2},
        "timer": TIMER,
        "points": [],
        "threads": 1,
        "trials": 5,
        "startup": 3,
        "sampler": "tpe",
        "confirm": 0,
    }
    return parse_study(data | changes, "tiny.yaml")


def quick(**changes: Any) -> StudyConfig:
    """A study over sixteen networks that each train in a moment."""
    return study(narrow=SMALL, **changes)


def luck(spec_id: str) -> float:
    """A number 0..1 that depends on the network alone."""
    return int(hashlib.sha256(spec_id.encode()).hexdigest()[:6], 16) / 16**6


def made_up(task: Task, report: Report = silent) -> TrialResult:
    """Score a network by its id, its latency by another digest of it."""
    luck_ms = 1 + 20 * luck(task.spec.id + "ms")
    return result(task.proposal.point, miou=luck(task.spec.id), latency_ms=luck_ms)


def gated(limit_ms: float) -> Any:
    """As `made_up`, but what is slower is rejected."""
    budget = Budget(latency_ms=limit_ms)

    def work(task: Task, report: Report) -> TrialResult:
        outcome = made_up(task)
        assert outcome.latency is not None
        reason = budget.refusal(0, 0, outcome.latency.median_ms)
        if reason is None:
            return outcome
        return result(task.proposal.point, latency_ms=outcome.latency.median_ms, reason=reason)

    return work


def points(folder: Path) -> dict[int, str]:
    """Spec ids of the finished trials, by number, straight from the files."""
    import json

    files = sorted(folder.glob("trials/*/result.json"))
    records = [json.loads(path.read_text()) for path in files]
    assert all(lower(r["point"]).id == r["spec_id"] for r in records)
    return {r["number"]: r["spec_id"] for r in records}


CHILD = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from segsearch.progress import Report, silent
from segsearch.study.budget import Budget
from segsearch.study.config import StudyConfig
from segsearch.engine.driver import run_study
from segsearch.engine.watch import Silent

class Loud(Silent):
    def opened(self, name, wanted, records): print("opened", len(records), flush=True)
    def stage(self, number, what, done, total): print(what, done, flush=True)
    def finished(self, record): print("finished", record.number, flush=True)
    def note(self, line): print("note", line, flush=True)
    def closed(self, line): print("closed", line, flush=True)

config = StudyConfig.model_validate_json(Path(sys.argv[1]).read_text())
sys.exit(run_study(config, Path(sys.argv[2]), progress=Loud()).exit_code)
"""


def child(config: StudyConfig, folder: Path) -> list[str]:
    """Command line of a process that runs a study, telling every step on a line of its own."""
    file = folder.with_suffix(".config.json")
    file.write_text(config.model_dump_json())
    return [sys.executable, "-W", "error", "-c", CHILD, str(file), str(folder)]


class Staged:
    """Trials in stages, on files: a latency, a checkpoint that holds the epochs trained, weights at the end.

    ``noise`` is how far a score after a few epochs is from telling the final one; ``die_at`` the stage, counted over
    the study, in whose middle the process dies; ``limit_ms`` rejects what is slower.
    """

    def __init__(
        self, epochs: int = 9, rungs: tuple[int, ...] = (), noise: float = 0.0, die_at: int = 0, limit_ms: float = 99.0
    ) -> None:
        self.epochs, self.rungs, self.noise, self.die_at, self.limit_ms = epochs, rungs, noise, die_at, limit_ms
        self.stages = list[tuple[str, int, int | None]]()
        self.trained = list[tuple[int, int]]()
        """Number of the trial and epoch, of each epoch that was trained."""

    def __call__(self, task: Task, report: Report) -> TrialResult:
        self.stages.append((task.stage, task.proposal.number, task.until))
        if task.stage == "measure":
            self._die()
            return self._measured(task)
        return self._train(task, report)

    def _measured(self, task: Task) -> TrialResult:
        latency_ms = 1 + 20 * luck(task.spec.id + "ms")
        state = "passed" if latency_ms <= self.limit_ms else "rejected"
        return result(
            task.proposal.point, latency_ms=latency_ms, state=state, reason="too slow", seconds={"build": 1.0}
        )

    def _train(self, task: Task, report: Report) -> TrialResult:
        checkpoint, end = task.folder / CHECKPOINT, task.until or self.epochs
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for epoch in range(done + 1, end + 1):
            if epoch == end:
                self._die()
            report("train", epoch, self.epochs)
            write_atomic(checkpoint, str(epoch))
            self.learnt(task, epoch)
        done = max(done, end)
        facts: dict[str, Any] = {
            "rungs": tuple(Rung(steps=e, epochs=e, miou=self.score(task.spec.id, e)) for e in self.rungs if e <= done),
            "seconds": {"train": float(done)},
            "trained_iterations": done,
            "latency_ms": None,
        }
        if task.until is not None and done < self.epochs:
            return result(task.proposal.point, state="paused", reason=None, params=None, macs=None, **facts)
        (task.folder / WEIGHTS).write_bytes(b"w")
        return result(task.proposal.point, miou=self.score(task.spec.id, self.epochs), **facts)

    def learnt(self, task: Task, epoch: int) -> None:
        """Hear that an epoch is in the checkpoint."""
        self.trained.append((task.proposal.number, epoch))

    def score(self, spec_id: str, epochs: int) -> float:
        known = self.noise * (1 - epochs / self.epochs)
        quality = (1 - known) * luck(spec_id) + known * luck(f"{spec_id} after {epochs}")
        return quality * (0.5 + 0.5 * epochs / self.epochs)

    def _die(self) -> None:
        if len(self.stages) == self.die_at:
            raise SystemExit("killed")
