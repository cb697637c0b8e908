"""One task after another in this process: on one device, two at once would spoil each other's latencies."""

import math
from collections import deque
from collections.abc import Callable

from segsearch.engine.executors.base import Task, Work
from segsearch.engine.executors.watchdog import run_watched
from segsearch.engine.watch import StudyProgress
from segsearch.result import TrialResult


class Serial:
    """Runs a task when it is collected; the task ends at its next report once ``stop`` says so."""

    slots = 1
    measures_here = True

    def __init__(
        self, work: Work, progress: StudyProgress, stop: Callable[[], bool], step_seconds: float = math.inf
    ) -> None:
        self._work, self._progress, self._stop, self._step_seconds = work, progress, stop, step_seconds
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Take a task."""
        self._waiting.append(task)

    def apart(self, task: Task) -> bool:
        """No task has a process of its own."""
        return False

    def collect(self) -> tuple[Task, TrialResult]:
        """Run the oldest task that waits. Raises KeyboardInterrupt where it was stopped."""
        task = self._waiting.popleft()
        return task, self.measure(task)

    def measure(self, task: Task) -> TrialResult:
        """Run a stage of whatever kind. Raises as `collect`."""

        def report(what: str, done: int, total: int) -> None:
            self._progress.stage(task.proposal.number, what, done, total)
            if self._stop():
                raise KeyboardInterrupt

        return run_watched(self._work, task, report, self._step_seconds)

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
