"""A long study, made by script: how long until it is shown, until it proposes the next, and what the driver adds.

    python benchmarks/long_study.py --trials 2000 --driven 500

The trials are points of the unified space with made-up scores and latencies, a third of them over the budget. Their
files are as long as those of a real study. ``--driven`` runs a study of so many trials that take no time, drawn at
random, without rungs and with: all of its time is the driver's.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segsearch import __version__
from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.measure.load import Contention
from segsearch.measure.machine import Software
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import TimerSettings
from segsearch.progress import Report
from segsearch.result import Rung, TrialResult
from segsearch.samplers.proposals import Proposer, network_name
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.walk import sample
from segsearch.study.config import StudyConfig, parse_study
from segsearch.study.identity import StudyFile
from segsearch.study.record import Proposal, TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study_files import CHECKPOINT
from segsearch.training.scores import Scores

CLASSES, SAMPLES = 19, 200


def make(folder: Path, trials: int) -> StudyConfig:
    """Write a study whose trials differ in their networks."""
    config = parse_study(
        {
            "name": "long",
            "data": {"name": "streets"},
            "recipe": {"iterations": 100},
            "budget": {"latency_ms": 14.0},
            "trials": trials,
        },
        "long_study",
    )
    space, store, rng = load_space(config.space), StudyFolder(folder), random.Random(0)
    file = StudyFile(segsearch=__version__, config=config, space_id=space.id, device="none", threads=1)
    folder.mkdir(parents=True)
    store.begin(file)
    seen: set[str] = set()
    while len(seen) < trials:
        point = sample(space, rng)
        if (spec_id := lower(point).id) not in seen:
            seen.add(spec_id)
            store.finish(_record(config, len(seen), point, rng))
    return config


def _record(config: StudyConfig, number: int, point: Point, rng: random.Random) -> TrialRecord:
    spec, latency_ms = lower(point), rng.uniform(1.0, 20.0)
    inside = config.budget.refusal(10**6, 10**9, latency_ms) is None
    name = network_name(point, spec.id)
    result = TrialResult(
        state="complete" if inside else "rejected",
        reason=None if inside else "too slow",
        spec=spec,
        spec_id=spec.id,
        params=10**6,
        macs=10**9,
        latency=_latency(spec.id, latency_ms, rng),
        scores=_scores(rng.betavariate(4, 3)) if inside else None,
        seconds={"build": 0.5, "measure": 10.0, "train": 100.0},
    )
    return TrialRecord.of(
        Proposal(number=number, origin="random", name=name, point=point, spec_id=spec.id),
        result,
        recipe_id=config.recipe.id,
        recipe=config.recipe,
        seed=number,
        device="none",
        commit="unknown",
        versions={"segsearch": __version__},
        started_at="2026-01-01T00:00:00+00:00",
        finished_at="2026-01-01T00:02:00+00:00",
    )


def _scores(miou: float) -> Scores:
    matrix = tuple(tuple(1000 for _ in range(CLASSES)) for _ in range(CLASSES))
    iou: dict[str, float | None] = {f"class {k}": miou for k in range(CLASSES)}
    return Scores(miou=miou, iou=iou, pixel_accuracy=miou, images=100, confusion=matrix)


def _latency(spec_id: str, median_ms: float, rng: random.Random) -> LatencyRecord:
    samples = [median_ms * rng.uniform(0.95, 1.1) for _ in range(SAMPLES - 1)]
    return LatencyRecord(
        label=spec_id,
        spec_id=spec_id,
        size_hw=(128, 192),
        batch=1,
        precision="float32",
        layout="contiguous",
        backend="eager",
        backend_version="0",
        device="none",
        device_kind="cpu",
        threads=1,
        median_ms=median_ms,
        p10_ms=0.95 * median_ms,
        p90_ms=1.1 * median_ms,
        samples_ms=(median_ms, *samples),
        warmup_calls=10,
        warmup_settled=True,
        timer=TimerSettings(),
        software=Software(torch="0", python="0", os="none"),
        contention=Contention(load_average=0.0, others_percent_before=0.0, others_percent_during=0.0),
        started_at="2026-01-01T00:00:00+00:00",
    )


def propose(config: StudyConfig, folder: Path) -> tuple[float, float, float]:
    """Seconds to read all records, to tell the sampler of them, and to propose the next network."""
    marks = [time.perf_counter()]
    records = StudyFolder(folder).records()
    marks.append(time.perf_counter())
    proposer = Proposer(load_space(config.space), (), budget=config.budget, size_hw=config.data.size, seed=0)
    for record in records:
        proposer.began(record)
        proposer.ended(record)
    marks.append(time.perf_counter())
    proposal = proposer.next(len(records) + 1)
    marks.append(time.perf_counter())
    assert proposal is not None and proposal.origin == "sampler"
    return marks[1] - marks[0], marks[2] - marks[1], marks[3] - marks[2]


class NoWork:
    """Stands for trials: gives made-up results at once, and notes when each began."""

    def __init__(self) -> None:
        self.rng, self.marks = random.Random(0), list[float]()

    def __call__(self, task: Task, report: Report) -> TrialResult:
        """Run one stage."""
        facts: dict[str, Any] = {"spec": task.spec, "spec_id": task.spec.id, "seconds": {task.stage: 1.0}}
        if task.stage == "measure":
            self.marks.append(time.perf_counter())
            latency = _latency(task.spec.id, self.rng.uniform(1.0, 14.0), self.rng)
            return TrialResult(state="passed", params=10**6, macs=10**9, latency=latency, **facts)
        (task.folder / CHECKPOINT).write_bytes(b"made up")
        own = random.Random(task.seed)  # a rung's score stays as it was when the training goes on
        reached = [Rung(steps=k, epochs=k, miou=own.betavariate(4, 3)) for k in RUNGS if k <= (task.until or 18)]
        if task.until is not None:
            return TrialResult(state="paused", rungs=tuple(reached), **facts)
        scores = _scores(self.rng.betavariate(4, 3))
        return TrialResult(state="complete", rungs=tuple(reached), scores=scores, **facts)


RUNGS = (2, 6)


def driven(folder: Path, trials: int, rungs: Sequence[int] = ()) -> tuple[int, float, float]:
    """Networks that a driven study looked at, and seconds for each of them, over all and over the last fifty."""
    settings = {"name": "driven", "data": {"name": "streets", "train": 8, "val": 2}, "points": [], "sampler": "random"}
    recipe = {"epochs": 18, "batch_size": 8}
    config = parse_study(settings | {"recipe": recipe, "trials": trials, "rungs": list(rungs), "confirm": 0}, "driven")
    work = NoWork()
    start = time.perf_counter()
    run_study(config, folder, work=work)
    marks = [*work.marks, time.perf_counter()]
    last = min(50, len(marks) - 1)
    return len(work.marks), (marks[-1] - start) / len(work.marks), (marks[-1] - marks[-1 - last]) / last


def main() -> None:
    """Make the study, and print how long each step takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--driven", type=int, default=500)
    arguments = parser.parse_args()
    trials = arguments.trials
    for rungs in ((), RUNGS):
        with tempfile.TemporaryDirectory() as folder:
            looked_at, mean, last = driven(Path(folder) / "study", arguments.driven, rungs)
        print(
            f"{looked_at} networks, rungs {list(rungs)}: the driver adds {mean:.3f} s to each, {last:.3f} s at the end"
        )
    with tempfile.TemporaryDirectory() as folder:
        config = make(Path(folder) / "study", trials)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.json"))
        print(f"{trials} trials, {size / 1e6:.0f} MB")
        read, told, proposed = propose(config, Path(folder) / "study")
        print(f"read {read:.2f} s; the sampler learns them in {told:.2f} s; next proposal {proposed:.2f} s")
        command = [sys.executable, "-m", "segsearch", "pareto", str(Path(folder) / "study")]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        print(f"segsearch pareto {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
