"""One trial after another in this process: on one device, two at once would spoil each other's latencies."""

from collections import deque

from segsearch.search.executors.base import Task, Work
from segsearch.trial import TrialResult


class Serial:
    """Runs a task when it is collected."""

    slots = 1

    def __init__(self, work: Work) -> None:
        self._work = work
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Take a task."""
        self._waiting.append(task)

    def collect(self) -> tuple[Task, TrialResult]:
        """Run the oldest task that waits."""
        task = self._waiting.popleft()
        return task, self._work(task)

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
