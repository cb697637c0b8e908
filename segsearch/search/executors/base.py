"""The contract of every executor: the driver submits tasks up to ``slots``, and collects them as they end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.search.record import Proposal
from segsearch.spec.network import NetworkSpec


@dataclass(frozen=True, kw_only=True)
class Task:
    """One trial to run: plain data that can be pickled and sent to another process."""

    proposal: Proposal
    spec: NetworkSpec
    folder: Path
    seed: int
    """Of the initial weights, batches and augmentation."""
    started_at: str
    rest_ms: float | None = None
    """The least latency of the reference network that the study has seen when the trial began; for the gate."""


Work = Callable[[Task, Report], TrialResult]
"""Runs one trial and reports on it; what its report raises passes. Can be pickled, as `segsearch.search.study.run` is.
A trial that fails is a result, and what is raised ends the study."""


class Executor(Protocol):
    """Runs tasks, passes on their reports, and stops them when it is asked to; only the driver writes records."""

    slots: int
    """Tasks that may be under way at once."""

    def submit(self, task: Task) -> None:
        """Take a task; called with fewer than ``slots`` under way."""

    def collect(self) -> tuple[Task, TrialResult]:
        """Wait for the next task to end and return it with its result. Raises what its work raised."""
        ...

    def close(self) -> None:
        """Let go of whatever is held; tasks under way are abandoned, resumably."""
