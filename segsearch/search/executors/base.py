"""The contract of every executor: the driver submits tasks up to ``slots``, and collects them as they end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from segsearch.search.record import Proposal
from segsearch.spec.network import NetworkSpec
from segsearch.trial import TrialResult


@dataclass(frozen=True, kw_only=True)
class Task:
    """One trial to run: plain data that can be sent elsewhere."""

    proposal: Proposal
    spec: NetworkSpec
    folder: Path
    seed: int
    started_at: str


Work = Callable[[Task], TrialResult]
"""Runs one trial; a trial that fails is a result, and what is raised ends the study."""


class Executor(Protocol):
    """Runs tasks; only the driver writes the study, so an executor keeps nothing."""

    slots: int
    """Tasks that may be under way at once."""

    def submit(self, task: Task) -> None:
        """Take a task; called with fewer than ``slots`` under way."""

    def collect(self) -> tuple[Task, TrialResult]:
        """Wait for the next task to end and return it with its result. Raises what its work raised."""
        ...

    def close(self) -> None:
        """Let go of whatever is held; tasks under way are abandoned, resumably."""
