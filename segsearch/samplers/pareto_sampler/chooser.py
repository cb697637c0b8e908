"""What to try next in a space that is known: a start spread over the costs, then what improves the front most."""

import random
from collections.abc import Iterable, Sequence

import numpy as np
from optuna.distributions import CategoricalDistribution

from segsearch.samplers.pareto_sampler.candidates import BLOCK, Candidate, Candidates, Prices, free_strata, key_of
from segsearch.samplers.pareto_sampler.encoding import Encoding
from segsearch.samplers.pareto_sampler.model import Model, Trial
from segsearch.samplers.pareto_sampler.tree import Params, Tree

CLIMBERS = 8
"""Best candidates whose neighbours are tried, too."""
CLIMBS = 5
"""Rounds of it."""
SPREAD = 300
"""Points that one of the start is chosen from."""


class Chooser:
    """Chooses points of one tree; what it chooses depends on the trials it is given, the seed and a number alone."""

    def __init__(
        self,
        tree: Tree,
        prices: Prices,
        *,
        seed: int,
        startup: int,
        objectives: int,
        rungs: int = 0,
        block: int = BLOCK,
    ) -> None:
        """Take what all choices share.

        Args:
            tree: of all parameters.
            prices: knows the costs.
            seed: of all draws.
            startup: trials before the model is asked.
            objectives: how many there are; the costs are the last ones, or, where they are more, only inform.
            rungs: scores that a trial may have before its end; more than 0 only with one learnt objective.
            block: points drawn anew for each trial.
        """
        self.tree, self._startup, self._objectives, self._rungs = tree, startup, objectives, rungs
        self._space = Candidates(tree, prices, seed, block)
        self._seed = seed

    def pool(self, number: int, trials: Sequence[Trial], fixed: Params) -> list[Candidate]:
        """Return random points that may be proposed, none of a trial's."""
        pool, seen = self._space.pool(number), {key_of(t.params) for t in trials}
        if fixed:
            rng = random.Random(f"{self._seed}:{number}:fixed")
            return self._space.allowed((self.tree.complete({**c.params, **fixed}, rng) for c in pool), seen)
        return [c for c in pool if c.key not in seen]

    def unknown_branches(self, number: int, trials: Sequence[Trial]) -> list[Params]:
        """Return the names that no trial had and no candidate has: only asking tells what hangs on them."""
        pool, found = self._space.pool(number), list[Params]()
        for parameter in self.tree.parameters:
            if isinstance(parameter.distribution, CategoricalDistribution):
                name = parameter.name
                known = {t.params.get(name) for t in trials} | {c.params.get(name) for c in pool}
                found += [{name: value} for value in parameter.distribution.choices if value not in known]
        return found

    def choose(self, number: int, trials: Sequence[Trial], fixed: Params | None = None) -> Candidate | None:
        """Return the best point for a trial; None where nothing new is found that may be proposed.

        Args:
            number: of the trial.
            trials: all others, by number; one of them at least has values, or a start is made.
            fixed: values that it must have.
        """
        found = self.best(number, trials, 1, fixed)
        return found[0] if found else None

    def best(self, number: int, trials: Sequence[Trial], count: int, fixed: Params | None = None) -> list[Candidate]:
        """Return up to ``count`` points, the best first, see `choose`; of the start, those of one stratum."""
        pool = self.pool(number, trials, fixed or {})
        if not pool:
            return []
        known = [t for t in trials if t.running or t.informs]
        if start := self._start(pool, trials, known, count):
            return start
        search = _Search(self.model(trials, pool), self._space, pool, trials, fixed or {})
        return search.best(count, random.Random(f"{self._seed}:{number}:search"))

    def model(self, trials: Sequence[Trial], candidates: Sequence[Candidate]) -> Model:
        """Fit what is believed; the candidates, one at least, tell how far the costs reach."""
        costs = [c.costs for c in candidates]
        apart = self._objectives - len(costs[0])
        priced = tuple(range(apart, self._objectives)) if apart > 0 else ()
        return Model(
            self.tree,
            trials,
            objectives=self._objectives,
            priced=priced,
            startup=self._startup,
            worst=np.array(costs).max(0).tolist() if priced else [],
            rungs=self._rungs,
        )

    def _start(
        self, pool: list[Candidate], trials: Sequence[Trial], known: Sequence[Trial], count: int
    ) -> list[Candidate]:
        """Return points of the start, far from all tried, in a stratum of the costs that has none; after it, none.

        The start ends by number: costs that are only predicted may leave a stratum without a trial for ever.
        """
        if len(known) >= self._startup and any(t.informs for t in known):
            return []
        if pool[0].costs:
            reached = [t.costs[0] for t in known if t.costs]
            if free := free_strata(self._startup, [c.costs[0] for c in pool], reached):
                low, high = free[len(free) // 2]
                pool = [c for c in pool if low <= c.costs[0] < high]
        some = pool[:SPREAD]
        if not trials:
            return some[:count]
        encoding = Encoding(self.tree)
        there, here = encoding.embed([t.params for t in trials]), encoding.embed([c.params for c in some])
        nearest = ((here[:, None, :] - there[None, :, :]) ** 2).sum(2).min(1)
        return [some[i] for i in np.argsort(-nearest, kind="stable")[:count]]


class _Search:
    """Climbs to the candidates with the greatest expected improvement."""

    def __init__(
        self, model: Model, space: Candidates, pool: list[Candidate], trials: Sequence[Trial], fixed: Params
    ) -> None:
        self._model, self._space, self._candidates, self._fixed = model, space, pool, fixed
        self._seen = {key_of(t.params) for t in trials} | {c.key for c in pool}
        self._gains = model.improvement(pool)

    def best(self, count: int, rng: random.Random) -> list[Candidate]:
        """Return the best candidates found, the best first."""
        self._add(self._space.around([t.params for t in self._model.front], rng, pairs=True))
        for _ in range(CLIMBS):
            before = self._gains.max()
            self._add(self._space.around([c.params for c in self._top(CLIMBERS)], rng))
            if self._gains.max() <= before:
                break
        return self._top(count)

    def _top(self, count: int) -> list[Candidate]:
        return [self._candidates[i] for i in np.argsort(-self._gains, kind="stable")[:count]]

    def _add(self, points: Iterable[Params]) -> None:
        agreeing = (p for p in points if all(p.get(name) == value for name, value in self._fixed.items()))
        if fresh := self._space.allowed(agreeing, self._seen):
            self._seen |= {c.key for c in fresh}
            self._candidates = self._candidates + fresh
            self._gains = np.concatenate([self._gains, self._model.improvement(fresh)])
