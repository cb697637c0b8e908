"""What is believed of points not tried, and how much each would improve the front."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segsearch.samplers.pareto_sampler.candidates import Candidate, Costs
from segsearch.samplers.pareto_sampler.encoding import Array, Encoding
from segsearch.samplers.pareto_sampler.fidelity import Ladder, Reached
from segsearch.samplers.pareto_sampler.gaussian import Process
from segsearch.samplers.pareto_sampler.improvement import expected_improvement
from segsearch.samplers.pareto_sampler.tree import Params, Tree

FLOOR = 0.25
"""Quantile of the first trials at and below which a value of a learnt objective counts as nothing."""
COST_SCALE = 1 / 3
"""Distance of two points whose costs are a standard deviation apart; that of two names is 1."""


@dataclass(frozen=True)
class Trial:
    """A trial as the model sees it; objectives are all to be made large."""

    params: Params
    costs: Costs | None
    """None where they are not known, as of a point over the budget."""
    values: tuple[float, ...] | None
    """All objectives; None while it has not ended, and where it has none."""
    running: bool = False
    rungs: tuple[float | None, ...] = ()
    """Scores of the one learnt objective at rungs on the way to its end, the first rung first, as far as it was scored;
    None at a rung that it was not scored at."""

    @property
    def informs(self) -> bool:
        """Whether something was learnt of it that a model can use."""
        return self.costs is not None and (self.values is not None or bool(self.rungs))


@dataclass(frozen=True)
class _View:
    """One way to look at the points, and what is believed so."""

    with_costs: bool
    beliefs: dict[int, Process | Ladder]
    """Per objective that is not known beforehand."""
    reached: Array
    """Values reached, and those expected of trials under way, (trials, objectives)."""
    paused: Array
    """Values expected of trials that stopped at a rung, alike."""


class Model:
    """Processes fitted to the trials, for each objective that is not known beforehand one per view of the points.

    There are two views where costs are known: the choices alone, and the choices beside the logarithms of the costs.
    What costs alike is often worth alike, but not always; the improvements that the views expect are added.
    """

    def __init__(
        self,
        tree: Tree,
        trials: Sequence[Trial],
        *,
        objectives: int,
        priced: tuple[int, ...],
        startup: int,
        worst: Sequence[float],
        rungs: int = 0,
    ) -> None:
        """Fit.

        Args:
            tree: of all parameters.
            trials: by number; one at least that has ended, or is paused at a rung, `Trial.informs`.
            objectives: how many there are.
            priced: the objective that each cost is the negative of; empty where costs only inform.
            startup: number of trials that the reference of the learnt objectives is taken from.
            worst: of each cost that is an objective, the highest that counts.
            rungs: scores that a trial may have before its end; more than 0 only with one learnt objective.
        """
        self._encoding, self._priced, self._rungs = Encoding(tree), priced, rungs
        self._learnt = [j for j in range(objectives) if j not in priced]
        if rungs and len(self._learnt) != 1:
            raise ValueError(f"trials have scores at rungs, and {len(self._learnt)} objectives are learnt, not one")
        trials = [t for t in trials if t.costs is not None]
        done = [t for t in trials if t.values is not None]
        paused = [t for t in trials if t.values is None and t.rungs and not t.running]
        pending = [t for t in trials if t.running]
        costs = _logs(_table([t.costs for t in (*done, *paused)]))
        self._moments = costs.mean(0), np.where(costs.std(0) > 0, costs.std(0), 1.0)
        self._views = [
            self._view(with_costs, done, paused, pending) for with_costs in ([False, True] if costs.size else [False])
        ]
        values = np.vstack([self._views[0].reached[: len(done)], self._views[0].paused])
        self.front = [t for t, value in zip((*done, *paused), values, strict=True) if _on_front(value, values)]
        """Trials that no other is better than in every objective, those at a rung by what is expected of them."""
        self._reference = np.empty(objectives)
        self._reference[self._learnt] = np.quantile(values[:startup, self._learnt], FLOOR, axis=0)
        self._reference[list(priced)] = [-cost for cost in worst]

    def _view(
        self, with_costs: bool, done: Sequence[Trial], paused: Sequence[Trial], pending: Sequence[Trial]
    ) -> _View:
        values = self._values(done)
        before, at = self._embed(done, with_costs), self._embed(pending, with_costs)
        widths = self._encoding.widths + [1] * (before.shape[1] - sum(self._encoding.widths))
        if self._rungs:
            [j] = self._learnt
            return self._climbed(j, with_costs, done, paused, pending, widths)
        objectives = len(self._priced) + len(self._learnt)
        believed, beliefs = np.zeros((len(pending), objectives)), dict[int, Process | Ladder]()
        self._price(believed, pending)
        for j in self._learnt:
            process = Process(before, widths, values[:, j])
            if pending:
                believed[:, j], _ = process.predict(at)
                told = np.concatenate([values[:, j], believed[:, j]])
                process = Process(np.vstack([before, at]), widths, told, process.hyper)
            beliefs[j] = process
        return _View(with_costs, beliefs, np.vstack([values, believed]), np.zeros((0, objectives)))

    def _climbed(
        self,
        j: int,
        with_costs: bool,
        done: Sequence[Trial],
        paused: Sequence[Trial],
        pending: Sequence[Trial],
        widths: list[int],
    ) -> _View:
        """Return a view of trials that have scores at rungs; a trial under way counts by what it reached, or is to."""
        scored = [*done, *paused, *(t for t in pending if t.rungs)]
        skipped = [[None] * (self._rungs - len(t.rungs)) for t in scored]
        scores = [
            (*t.rungs, *none, t.values[j]) if t.values else t.rungs for t, none in zip(scored, skipped, strict=True)
        ]
        ladder = Ladder(self._embed(scored, with_costs), widths, scores, self._rungs + 1)

        def expected(trials: Sequence[Trial]) -> Array:
            table = np.zeros((len(trials), len(self._priced) + 1))
            self._price(table, trials)
            table[:, j], _ = ladder.predict(self._embed(trials, with_costs), [t.rungs for t in trials])
            return table

        return _View(with_costs, {j: ladder}, np.vstack([self._values(done), expected(pending)]), expected(paused))

    def _values(self, done: Sequence[Trial]) -> Array:
        objectives = len(self._priced) + len(self._learnt)
        return np.array([t.values for t in done], dtype=np.float64).reshape(len(done), objectives)

    def _price(self, table: Array, trials: Sequence[Trial | Candidate]) -> None:
        for cost, j in enumerate(self._priced):
            table[:, j] = -_table([t.costs for t in trials])[:, cost] if trials else 0.0

    def _embed(self, points: Sequence[Trial | Candidate], with_costs: bool) -> Array:
        embedded = self._encoding.embed([p.params for p in points])
        if not with_costs:
            return embedded
        mean, spread = self._moments
        costs = _logs(_table([p.costs for p in points])) if points else np.zeros((0, len(mean)))
        return np.hstack([embedded, COST_SCALE * (costs - mean) / spread])

    def improvement(self, candidates: Sequence[Candidate]) -> Array:
        """Return how much each new point is expected to improve the front in the end; relative to one another."""
        return self._gains(candidates, None)

    def improvement_of(self, paused: Sequence[Trial]) -> Array:
        """Return how much each trial that stopped at a rung is expected to improve the front if it goes on."""
        return self._gains(paused, [t.rungs for t in paused])

    def _gains(self, points: Sequence[Trial | Candidate], scores: Sequence[Reached] | None) -> Array:
        total = np.zeros(len(points))
        known_costs = _table([p.costs for p in points])
        for view in self._views:
            at = self._embed(points, view.with_costs)
            beliefs = {
                j: belief.predict(at, scores) if isinstance(belief, Ladder) else belief.predict(at)
                for j, belief in view.beliefs.items()
            }
            beliefs |= {j: (-known_costs[:, cost], np.zeros(len(points))) for cost, j in enumerate(self._priced)}
            means, spreads = zip(*(beliefs[j] for j in range(len(self._reference))), strict=True)
            reached = view.reached if scores is not None else np.vstack([view.reached, view.paused])
            total += expected_improvement(means, spreads, reached, self._reference)
        return total


def _table(costs: Sequence[Costs | None]) -> Array:
    return np.array(costs, dtype=np.float64).reshape(len(costs), -1 if costs else 0)


def _on_front(value: Array, values: Array) -> bool:
    return not bool(((values >= value).all(1) & (values > value).any(1)).any())


def _logs(costs: Array) -> Array:
    """Logarithms of costs that are positive, as latencies are; others as they are."""
    return np.where((costs > 0).all(0), np.log(np.maximum(costs, 1e-300)), costs) if len(costs) else costs
