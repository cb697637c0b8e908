"""Stand-ins for the stages of a trial that leave a checkpoint behind, to be run in Ray's processes."""

import os
import signal
import time
from pathlib import Path

from segsearch.engine.executors.base import Task
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.study_files import CHECKPOINT
from tests.engine.studies import made_up

STEPS = 10


def staged(task: Task, report: Report) -> TrialResult:
    """Pass the measurement; then train from wherever the checkpoint is, and say where that was."""
    if task.stage == "measure":
        return made_up(task).model_copy(update={"state": "passed", "scores": None})
    path = task.folder / CHECKPOINT
    begun = int(path.read_text()) if path.exists() else 0
    for step in range(begun, STEPS):
        report("train", step, STEPS)
        path.write_text(str(step + 1))
    return made_up(task).model_copy(update={"notes": (f"began at step {begun}",)})


class Marked:
    """Something that happens a number of times, counted by files beside the study, whatever process it happens in."""

    def __init__(self, folder: Path, times: int = 1, number: int = 1) -> None:
        self.folder, self.times, self.number = str(folder), times, number

    def due(self, task: Task) -> bool:
        marks = Path(self.folder)
        if task.stage == "measure" or task.proposal.number != self.number or len(list(marks.iterdir())) >= self.times:
            return False
        (marks / str(time.monotonic_ns())).touch()
        return True


class Dying(Marked):
    """Staged work whose process is killed at step 5 of a trial; once the study has a checkpoint, if that is waited for."""

    def __init__(self, folder: Path, times: int = 1, number: int = 1, kept: Path | None = None) -> None:
        super().__init__(folder, times, number)
        self.kept = kept

    def __call__(self, task: Task, report: Report) -> TrialResult:
        if self.due(task):
            (task.folder / CHECKPOINT).write_text("5")
            while self.kept is not None and not (self.kept / f"trials/{self.number:04d}" / CHECKPOINT).exists():
                report("train", 5, STEPS)
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGKILL)
        return staged(task, report)


class Hanging(Marked):
    """Staged work that falls silent in a trial."""

    def __call__(self, task: Task, report: Report) -> TrialResult:
        if self.due(task):
            report("train", 0, STEPS)
            time.sleep(600)
        return staged(task, report)


class Slow(Marked):
    """Staged work that takes its time in a trial, and stops when it is told to."""

    def __call__(self, task: Task, report: Report) -> TrialResult:
        if self.due(task):
            for step in range(3000):
                (task.folder / CHECKPOINT).write_text("3")
                report("train", step, 3000)
                time.sleep(0.01)
        return staged(task, report)


class Crowd:
    """Staged work that trains for two seconds, and writes how many others train at each step; a file for each."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __call__(self, task: Task, report: Report) -> TrialResult:
        if task.stage == "train":
            here = Path(self.folder) / str(task.proposal.number)
            for step in range(40):
                report("train", step, 40)
                here.touch()
                with Path(self.folder + ".txt").open("a") as file:
                    file.write(f"{len(list(here.parent.iterdir()))}\n")
                time.sleep(0.05)
            here.unlink()
        return staged(task, report)


def plodding(task: Task, report: Report) -> TrialResult:
    """Staged work that takes five seconds to train, and says on which node each stage ran."""
    node = os.environ.get("SEGSEARCH_TEST_NODE", "the driver")
    if task.stage == "measure":
        return staged(task, report).model_copy(update={"notes": (f"measured by {node}",)})
    path = task.folder / CHECKPOINT
    begun = int(path.read_text()) if path.exists() else 0
    for step in range(begun, 50):
        report("train", step, 50)
        time.sleep(0.1)
        path.write_text(str(step + 1))
    return made_up(task).model_copy(update={"notes": (f"trained by {node} from step {begun}",)})
