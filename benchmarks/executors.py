"""How much of several workers' time goes into trials: trials of one second that sleep, on a Ray of eight processors.

    python benchmarks/executors.py --out studies/results/executors.md

Each trial of the study sleeps; measuring takes no time. So what is missing to the whole is the driver (proposals,
files, records), Ray (sending tasks and files) and this machine. Ray's own start, and that of its processes, come before
the clock starts: a study of eight trials runs first.
"""

import argparse
import json
import os
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.engine.executors.ray_cluster import Cluster
from segsearch.engine.executors.ray_study import OnRay
from segsearch.engine.watch import Silent
from segsearch.files import write_atomic
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.study.config import StudyConfig, parse_study
from segsearch.study.machines import Resources
from segsearch.study.record import TrialRecord

STEPS = 10
DATA = {"name": "streets", "size": [32, 48], "train": 8, "val": 3}


class Sleeping:
    """Work that passes each network at once, and sleeps in place of its training."""

    def __init__(self, seconds: float, template: dict[str, Any]) -> None:
        self.seconds, self.template = seconds, template

    def __call__(self, task: Task, report: Report) -> TrialResult:
        """Run one stage."""
        found = self.template | {"spec": task.spec.model_dump(mode="json"), "spec_id": task.spec.id}
        if task.stage == "measure":
            return TrialResult.parse(found | {"state": "passed", "scores": None}, "benchmark")
        for step in range(STEPS):
            report("train", step, STEPS)
            time.sleep(self.seconds / STEPS)
        return TrialResult.parse(found | {"state": "complete", "latency": None}, "benchmark")


class Clock(Silent):
    """Notes when trials finish."""

    def __init__(self) -> None:
        self.finishes: list[float] = []

    def finished(self, record: TrialRecord) -> None:
        """Note the time."""
        self.finishes.append(time.perf_counter())


def study(trials: int) -> StudyConfig:
    data = {"data": DATA, "recipe": {"iterations": 4}, "points": [], "threads": 1, "sampler": "random", "confirm": 0}
    return parse_study(data | {"name": "sleep", "trials": trials}, "benchmark")


def measured(folder: Path) -> dict[str, Any]:
    """Take one real trial's facts for the shape of a result: its latency, scores and counts."""
    quick = study(1).model_copy(update={"narrow": {"encoder": ("fpe",)}})
    (record,) = run_study(quick, folder).records
    names = ("params", "macs", "latency", "measurements", "scores", "seconds")
    latency = {} if record.latency is None else record.latency.model_dump(mode="json") | {"spec_id": ""}
    return {name: record.model_dump(mode="json")[name] for name in names} | {"latency": latency}


def run(workers: int, trials: int, seconds: float, work: Sleeping, folder: Path) -> tuple[float, float]:
    """Run a study; return its seconds and the share of the workers' time that trials took."""
    clock, config = Clock(), study(trials)
    with closing(OnRay(config)) as site:
        begun = time.perf_counter()
        run_study(config, folder, progress=clock, work=work, site=site)
        taken = time.perf_counter() - begun
    return taken, trials * seconds / (workers * taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 0.25])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = []
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Cluster(None, Resources().on("cpu"), cpus=given.workers)),
    ):
        template = json.loads(json.dumps(measured(Path(folder) / "real")))
        run(given.workers, given.workers, 1.0, Sleeping(1.0, template), Path(folder) / "warm")
        for seconds in given.seconds:
            load = os.getloadavg()[0]
            folder_of = Path(folder) / f"sleep-{seconds}"
            taken, share = run(given.workers, given.trials, seconds, Sleeping(seconds, template), folder_of)
            lines.append(f"| {given.workers} | {given.trials} | {seconds:g} | {taken:.1f} | {share:.1%} | {load:.1f} |")
            print(lines[-1], flush=True)
    if given.out is not None:
        head = (
            "| workers | trials | seconds each | seconds in all | efficiency | load before |\n|---|---|---|---|---|---|"
        )
        about = f"{psutil.cpu_count()} processors, {psutil.cpu_count(logical=False)} cores; workers only sleep."
        text = (__doc__ or "").replace("    python", "```\npython").replace("executors.md\n", "executors.md\n```\n")
        write_atomic(given.out, f"# Trials side by side\n\n{text}\n{about}\n\n{head}\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
