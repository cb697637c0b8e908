"""The contract of every executor: the driver submits tasks up to ``slots``, and collects them as they end.

A task is one stage of a trial. An executor may copy the trial's folder elsewhere, run the stage there, and copy the
folder back: it holds all that a later stage needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from segsearch.engine.executors.parcel import STAGE_FILES
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.spec.network import NetworkSpec
from segsearch.study.record import Proposal
from segsearch.study_files import CHECKPOINT


@dataclass(frozen=True, kw_only=True)
class Task:
    """One stage of a trial: plain data that can be pickled and sent to another process."""

    proposal: Proposal
    spec: NetworkSpec
    folder: Path
    seed: int
    """Of the initial weights, batches and augmentation."""
    started_at: str
    rest_ms: float | None = None
    """The least latency of the reference network that the study has seen when the stage began; for the gate."""
    stage: Literal["measure", "train"] = "measure"
    """``measure``: build, count, time, and ask the gate. ``train``: train on from where the folder's checkpoint is."""
    until: int | None = None
    """Epochs after which the training pauses, one of the study's rungs; None trains to the end, and scores."""
    files: tuple[str, ...] = STAGE_FILES
    """What travels, in the order in which it is written."""
    kept: tuple[str, ...] = (CHECKPOINT,)
    """What is sent home on the way, where there is a new checkpoint."""


Work = Callable[[Task, Report], TrialResult]
"""Runs one stage of a trial and reports on it; what its report raises passes. Can be pickled, as
`segsearch.engine.prepare.run` is. A trial that fails is a result, and what is raised ends the study. Where its first
result says ``complete`` already, there is no second stage."""


class Executor(Protocol):
    """Runs tasks, passes on their reports, and stops them when it is asked to; only the driver writes records."""

    slots: int
    """Tasks that may be under way at once."""
    measures_here: bool
    """Whether networks are measured in this process, so that one can be measured before it becomes a trial."""

    def submit(self, task: Task) -> None:
        """Take a task; called with fewer than ``slots`` under way."""

    def apart(self, task: Task) -> bool:
        """Whether a task has a process of its own, so that its network cannot take this one with it."""
        ...

    def measure(self, task: Task) -> TrialResult:
        """Run a stage ``measure`` at once, whatever else is under way; only where `measures_here`.

        Raises what its work raised, and KeyboardInterrupt where it was stopped.
        """
        ...

    def collect(self) -> tuple[Task, TrialResult]:
        """Wait for the next task to end and return it with its result. Raises what its work raised."""
        ...

    def close(self) -> None:
        """Let go of whatever is held; tasks under way are abandoned, resumably."""
