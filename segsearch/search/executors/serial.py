"""One trial after another in this process: on one device, two at once would spoil each other's latencies."""

from collections import deque
from collections.abc import Callable

from segsearch.result import TrialResult
from segsearch.search.executors.base import Task, Work
from segsearch.search.watch import StudyProgress


class Serial:
    """Runs a task when it is collected; the task ends at its next report once ``stop`` says so."""

    slots = 1

    def __init__(self, work: Work, progress: StudyProgress, stop: Callable[[], bool]) -> None:
        self._work, self._progress, self._stop = work, progress, stop
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Take a task."""
        self._waiting.append(task)

    def collect(self) -> tuple[Task, TrialResult]:
        """Run the oldest task that waits. Raises KeyboardInterrupt where it was stopped."""
        task = self._waiting.popleft()

        def report(what: str, done: int, total: int) -> None:
            self._progress.stage(task.proposal.number, what, done, total)
            if self._stop():
                raise KeyboardInterrupt

        return task, self._work(task, report)

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
