"""What scores early in a training say of its end.

Recursive co-kriging (Le Gratiet and Garnier 2014): the score at a rung is a line of the score at the rung before, plus
a Gaussian process of the point. Whoever was scored at a rung was scored at all before it, so that each step is fitted
on its own. The line leans to slope 1 while few points were scored at both: a low rung's score alone tells the order of
the points, and never stands for a final score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segsearch.samplers.pareto_sampler.encoding import Array
from segsearch.samplers.pareto_sampler.gaussian import Process

LEAST_PAIRS = 4
"""Points scored at both rungs from which on the rest is modelled by a process of its own."""
DOUBT = 0.5
"""Standard deviation of the rest before that, as a share of that of the first rung's scores."""
LEAN = 2.0
"""Points of slope 1 that the line begins with."""


@dataclass(frozen=True)
class _Step:
    """From one rung to the next."""

    slope: float
    offset: float
    rest: Process | None
    doubt: float

    def climb(self, mean: Array, variance: Array, points: Array) -> tuple[Array, Array]:
        mean, variance = self.offset + self.slope * mean, self.slope**2 * variance
        if self.rest is None:
            return mean, variance + self.doubt**2
        more, spread = self.rest.predict(points)
        return mean + more, variance + spread**2


class Ladder:
    """Beliefs about the score at the end, given scores at rungs."""

    def __init__(self, points: Array, widths: Sequence[int], scores: Sequence[Sequence[float]], rungs: int) -> None:
        """Fit.

        Args:
            points: embedded, (n, sum of widths); each scored once at least.
            widths: coordinates per column.
            scores: of each point, from the lowest rung on; the last of ``rungs`` is the end.
            rungs: how many there are, the end included.
        """
        self._first = Process(points, widths, np.array([reached[0] for reached in scores]))
        self._steps = [_step(points, widths, scores, rung) for rung in range(1, rungs)]

    def predict(self, points: Array, scores: Sequence[Sequence[float]] | None = None) -> tuple[Array, Array]:
        """Return mean and standard deviation of the score at the end.

        Args:
            points: embedded, (n, sum of widths).
            scores: of each, as far as it got; default: none was begun.
        """
        mean, spread = self._first.predict(points)
        variance = spread**2
        reached = scores or [()] * len(points)
        for rung, step in enumerate([None, *self._steps]):
            if step is not None:
                mean, variance = step.climb(mean, variance, points)
            at = [row for row, each in enumerate(reached) if len(each) > rung]
            mean[at], variance[at] = [reached[row][rung] for row in at], 0.0
        return mean, np.sqrt(variance)


def _step(points: Array, widths: Sequence[int], scores: Sequence[Sequence[float]], rung: int) -> _Step:
    rows = [row for row, reached in enumerate(scores) if len(reached) > rung]
    wide = float(np.std([reached[0] for reached in scores]))
    lower, upper = (np.array([scores[row][r] for row in rows]) for r in (rung - 1, rung))
    if not rows:
        return _Step(1.0, 0.0, None, DOUBT * wide)
    x, y = lower - lower.mean(), upper - upper.mean()
    lean = LEAN * (wide**2 or 1.0)
    slope = float((x @ y + lean) / (x @ x + lean))
    offset = float(upper.mean() - slope * lower.mean())
    rest = upper - offset - slope * lower
    if len(rows) < LEAST_PAIRS:
        return _Step(slope, offset, None, max(DOUBT * wide, float(rest.std())))
    return _Step(slope, offset, Process(points[rows], widths, rest), 0.0)
