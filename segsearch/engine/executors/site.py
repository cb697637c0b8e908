"""Where a study runs: what its latencies are of, what runs its stages, what times its front again."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from segsearch.engine.confirm import Time, timed_again
from segsearch.engine.executors.base import Executor, Work
from segsearch.engine.executors.serial import Serial
from segsearch.engine.own_training import OwnWork
from segsearch.engine.prepare import Study, Target, run
from segsearch.engine.watch import StudyProgress


class Site(Protocol):
    """One machine, or several."""

    @property
    def target(self) -> Target | None:
        """What latency is measured on; None for what the study's file says, here or at its worker."""

    def executor(self, study: Study, work: Work | None, progress: StudyProgress, stop: Callable[[], bool]) -> Executor:
        """Return what runs the stages, by ``work`` where it is given; ``stop`` says when to end them."""
        ...

    def time(self, study: Study, stop: Callable[[], bool]) -> Time:
        """Return what times one network again when the trials are done."""
        ...


class Here:
    """The process that asks, alone."""

    target = None

    def executor(self, study: Study, work: Work | None, progress: StudyProgress, stop: Callable[[], bool]) -> Executor:
        """Run one stage after another."""
        limit = study.config.step_limit(own=isinstance(work, OwnWork))
        return Serial(work or partial(run, study.setup), progress, stop, limit)

    def time(self, study: Study, stop: Callable[[], bool]) -> Time:
        """Time in new processes."""
        return timed_again(study.setup, study.config.confirm, stop)
