"""The sampler as Optuna knows one: it is asked for one parameter at a time, and answers from a whole point."""

import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from segsearch.samplers.pareto_sampler.candidates import Costs, Prices
from segsearch.samplers.pareto_sampler.chooser import Chooser
from segsearch.samplers.pareto_sampler.model import Trial
from segsearch.samplers.pareto_sampler.tree import Params, Tree, draw, holds, learn

Cost = Callable[[Params], Sequence[float] | None]
EXPLORE = 4
"""After the start, one trial of so many looks into branches that are not known."""
BLIND = 20
"""Values drawn for a parameter that was not foreseen, in the hope for one within the budget."""


class ParetoSampler(BaseSampler):
    """Bayesian optimisation of one expensive objective or several, beside cheap ones known exactly beforehand.

    Works in any Optuna study with one or more objectives, in spaces flat or conditional (define by run). Every point
    becomes one vector: choices off its path take one canonical value, and parameters that play the same part in several
    branches, as ``encoder.resnet.depth`` and ``encoder.df.depth``, share a column. Gaussian processes model the
    objectives; the candidate with the greatest expected hypervolume improvement (with one objective: expected
    improvement) is proposed. Candidates are drawn at random and from the neighbourhood of the front. No point is
    proposed twice while there are others, and trials under way count with the values expected of them.

    A proposal depends on the seed, the trial's number, and the trials known, in whatever order their results came.
    Where a branch is not known yet, or no new point is found, values are drawn at random; the latter is warned of once.

    Args:
        seed: of all draws.
        cost: gives the cheap objectives of a complete point, such as its latency; None where the point is over a budget
            (it is never proposed), or is not complete; KeyError means that, too. Where the study has more objectives
            than this gives values, they are its last ones; else they only inform the model. Default: nothing is known
            beforehand.
        startup: trials before the model is asked; with a cost, spread over its quantiles.
        space: the tree of all parameters, if it is known. Default: learnt from the trials.
    """

    def __init__(self, *, seed: int, cost: Cost | None = None, startup: int = 10, space: Tree | None = None) -> None:
        if startup < 1:
            raise ValueError(f"startup is {startup}, which must be at least 1")
        self._seed, self._cost, self._startup, self._space = seed, cost, startup, space
        self._prices = Prices(lambda points: [self._cost_of(point) for point in points])
        self._chooser: Chooser | None = None
        self._plans: dict[int, Params] = {}
        self._warned = False

    def reseed_rng(self) -> None:
        """Do nothing: draws depend on the seed and the trial's number, which differ between workers."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return nothing: what a trial asks for is known only as it asks."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing, see `infer_relative_search_space`."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Answer from the trial's plan; make one at its first question, and anew where a question was not foreseen."""
        plan = self._plans.get(trial._trial_id, {})
        agrees = all(plan.get(name) == value for name, value in trial.params.items())
        if not agrees or param_name not in plan or not holds(param_distribution, plan[param_name]):
            plan = self._plans[trial._trial_id] = self._plan(study, trial, param_name, param_distribution)
        return plan[param_name]

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Forget the plan."""
        self._plans.pop(trial._trial_id, None)

    def _plan(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Params:
        """Choose a whole point that agrees with what the trial has asked for by now, and holds ``name``."""
        others = [t for t in study.get_trials(deepcopy=False) if t._trial_id != trial._trial_id]
        others.sort(key=lambda t: t.number)
        fixed = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        chooser = self._choose_in(self._tree(others, trial, name, distribution), len(study.directions))
        signs = [1.0 if d == StudyDirection.MAXIMIZE else -1.0 for d in study.directions]
        trials = [self._trial(t, signs) for t in others]
        point = self._point(chooser, trial.number, trials, fixed)
        if point is not None and name in point and holds(distribution, point[name]):
            return point
        rng = random.Random(f"{self._seed}:{trial.number}:{name}")
        drawn = [draw(distribution, rng) for _ in range(BLIND)]
        return {**fixed, name: next((v for v in drawn if self._prices.candidate({**fixed, name: v})), drawn[0])}

    def _point(self, chooser: Chooser, number: int, trials: Sequence[Trial], fixed: Params) -> Params | None:
        known = sum(t.running or t.values is not None for t in trials)
        if not fixed and trials and (known < self._startup or number % EXPLORE == 0):
            if branches := chooser.unknown_branches(number, trials):
                rng = random.Random(f"{self._seed}:{number}:branch")
                return chooser.tree.complete(rng.choice(branches), rng)
        found = chooser.choose(number, trials, fixed)
        if found is None and not fixed and trials and not self._warned:
            self._warned = True
            warnings.warn("ParetoSampler draws at random: it finds no new point that may be proposed", stacklevel=2)
        return found.params if found else None

    def _tree(
        self, others: Sequence[FrozenTrial], trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Tree:
        if self._space is not None:
            return self._space
        finished = [(t.params, t.distributions) for t in others if t.state.is_finished() and t.params]
        return learn(finished, ({**trial.params, name: None}, {**trial.distributions, name: distribution}))

    def _choose_in(self, tree: Tree, objectives: int) -> Chooser:
        if self._chooser is None or self._chooser.tree != tree:
            self._chooser = Chooser(tree, self._prices, seed=self._seed, startup=self._startup, objectives=objectives)
        return self._chooser

    def _trial(self, trial: FrozenTrial, signs: Sequence[float]) -> Trial:
        params = trial.params or trial.system_attrs.get("fixed_params", {})
        values = trial.values if trial.state == TrialState.COMPLETE else None
        candidate = self._prices.candidate(params) if params else None
        return Trial(
            params=params,
            costs=candidate.costs if candidate else None,
            values=tuple(s * v for s, v in zip(signs, values, strict=True)) if values else None,
            running=not trial.state.is_finished(),
        )

    def _cost_of(self, point: Params) -> Costs | None:
        if self._cost is None:
            return ()
        try:
            found = self._cost(dict(point))
        except KeyError:  # a branch that is not known yet, so that the point is not complete
            return None
        return None if found is None else tuple(map(float, found))
