"""What scores early in a training say of its end.

Recursive co-kriging (Le Gratiet and Garnier 2014): the score at a rung is a line of the score at the rung before, plus
a Gaussian process of the point. Each step is fitted to what was scored at its upper rung; a point that was not scored
at the lower one, as the rungs of a study may change, counts there by what is believed of it. The line leans to slope 1
while few points were scored: a low rung's score alone tells the order of the points, and never stands for a final one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segsearch.samplers.pareto_sampler.encoding import Array
from segsearch.samplers.pareto_sampler.gaussian import Process

LEAST_PAIRS = 4
"""Points scored at a rung from which on the rest is modelled by a process of its own."""
DOUBT = 0.5
"""Standard deviation of the rest before that, as a share of that of the first rung's scores."""
LEAN = 2.0
"""Points of slope 1 that the line begins with."""

Reached = Sequence[float | None]
"""Scores of one point from the lowest rung on, as far as it got; None at a rung that it was not scored at."""


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

    def __init__(self, points: Array, widths: Sequence[int], scores: Sequence[Reached], rungs: int) -> None:
        """Fit.

        Args:
            points: embedded, (n, sum of widths); one at least was scored.
            widths: coordinates per column.
            scores: of each point; the last of ``rungs`` is the end.
            rungs: how many there are, the end included.
        """
        self._rungs = rungs
        table = _table(scores, rungs)
        self._lowest = int(np.argmax((~np.isnan(table)).any(0)))
        """The lowest rung with a score: below it nothing is known."""
        table = table[:, self._lowest :]
        there = ~np.isnan(table[:, 0])
        self._first = Process(points[there], widths, table[there, 0])
        self._steps, wide = list[_Step](), float(table[there, 0].std())
        for rung in range(1, table.shape[1]):
            lower, _ = self._climb(points, table[:, :rung])
            self._steps.append(_step(points, widths, lower, table[:, rung], wide))

    def predict(self, points: Array, scores: Sequence[Reached] | None = None) -> tuple[Array, Array]:
        """Return mean and standard deviation of the score at the end.

        Args:
            points: embedded, (n, sum of widths).
            scores: of each; default: none was begun.
        """
        table = _table(scores or [()] * len(points), self._rungs)
        mean, variance = self._climb(points, table[:, self._lowest :])
        return mean, np.sqrt(variance)

    def _climb(self, points: Array, table: Array) -> tuple[Array, Array]:
        """Return mean and variance at the last of the rungs of a table, known scores being exact."""
        mean, spread = self._first.predict(points)
        variance = spread**2
        for step, scores in zip([None, *self._steps], table.T, strict=True):
            if step is not None:
                mean, variance = step.climb(mean, variance, points)
            known = ~np.isnan(scores)
            mean[known], variance[known] = scores[known], 0.0
        return mean, variance


def _table(scores: Sequence[Reached], rungs: int) -> Array:
    """Write scores as (points, rungs), NaN where there is none."""
    table = np.full((len(scores), rungs), np.nan)
    for row, reached in enumerate(scores):
        table[row, : len(reached)] = np.array(reached, dtype=np.float64)
    return table


def _step(points: Array, widths: Sequence[int], lower: Array, upper: Array, wide: float) -> _Step:
    """Fit a step to the scores at two rungs, those of the lower believed where unknown; ``wide``: see `DOUBT`."""
    rows = ~np.isnan(upper)
    lower, upper = lower[rows], upper[rows]
    if not rows.any():
        return _Step(1.0, 0.0, None, DOUBT * wide)
    x, y = lower - lower.mean(), upper - upper.mean()
    lean = LEAN * (wide**2 or 1.0)
    slope = float((x @ y + lean) / (x @ x + lean))
    offset = float(upper.mean() - slope * lower.mean())
    rest = upper - offset - slope * lower
    if len(upper) < LEAST_PAIRS:
        return _Step(slope, offset, None, max(DOUBT * wide, float(rest.std())))
    return _Step(slope, offset, Process(points[rows], widths, rest), 0.0)
