"""How long a study has taken, and how much it can still train in the minutes that it was given.

The time of earlier runs counts, from the study's folder; within a run a clock counts that nobody sets.
"""

import math
import statistics
import time
from collections.abc import Callable

from segsearch.engine.confirm import near_front
from segsearch.result import TrialResult
from segsearch.study.config import StudyConfig
from segsearch.study.store import StudyFolder
from segsearch.study.trials import Trials

WRITE_EVERY = 10.0
"""Seconds between two notes of the time taken: a study that is killed forgets so much of it."""
PROCESS_SECONDS = 4.0
"""A new process loads torch and builds a network for about so long before it measures."""


class Pace:
    """The time of one run of a study.

    Args:
        config: the study.
        store: keeps the time that was taken.
        clock: seconds that only grow.
    """

    def __init__(self, config: StudyConfig, store: StudyFolder, clock: Callable[[], float] = time.monotonic) -> None:
        self._config, self._store, self._clock = config, store, clock
        self._before, self._began = store.spent(), clock()
        self._written = self._began
        self._step = self._overhead = self._reserve = 0.0

    @property
    def spent(self) -> float:
        """Seconds that the study has taken, earlier runs included."""
        return self._before + self._clock() - self._began

    @property
    def left(self) -> float:
        """Seconds to the end of the study's minutes; may be negative."""
        return math.inf if self._config.minutes is None else 60 * self._config.minutes - self.spent

    @property
    def up(self) -> bool:
        """Whether what runs must be stopped now, for the timing at the end."""
        return self.left <= self._reserve

    @property
    def over(self) -> bool:
        """Whether there is no time left at all."""
        return self.left <= 0

    def tick(self) -> None:
        """Write down the time from time to time."""
        if self._clock() - self._written >= WRITE_EVERY:
            self.write()

    def write(self) -> None:
        """Write down the time taken. Raises InputError where the folder cannot be written."""
        self._written = self._clock()
        self._store.spend(self.spent)

    def learn(self, trials: Trials) -> None:
        """Take the means of what was measured so far: seconds of a step, of all else of a trial, of the end."""
        if self._config.minutes is None:
            return
        trained = [result for result in trials.results if result.trained_iterations and "train" in result.seconds]
        # not from the first steps alone: they are slow, and a study would end without a trained network
        if any(result.state == "complete" for result in trained):
            steps = sum(result.trained_iterations for result in trained)
            self._step = sum(result.seconds["train"] for result in trained) / steps
        ended = trials.results
        if ended:
            self._overhead = statistics.fmean(_untrained_seconds(result) for result in ended)
            measuring = statistics.fmean(result.seconds.get("measure", 0.0) for result in ended)
            again = len(near_front(list(trials.records.values()), self._config.budget))
            self._reserve = again * self._config.confirm * (PROCESS_SECONDS + measuring)

    def steps(self, slots: int, under_way: int) -> float:
        """Return how many steps can still be trained by so many at a time, beside those that are under way."""
        if self.up:
            return 0.0
        seconds = max(0.0, self.left - self._reserve - self._overhead)
        return seconds * slots / self._step - under_way if self._step else math.inf


def _untrained_seconds(result: TrialResult) -> float:
    return sum(seconds for stage, seconds in result.seconds.items() if stage != "train")
