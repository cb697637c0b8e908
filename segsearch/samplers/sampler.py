"""What Optuna is asked and told. The next point is a pure function of the space, the trials so far, and a seed."""

import hashlib
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from segsearch.result import TrialResult, costs_of
from segsearch.space.nodes import Node, Point, Scalar, Space
from segsearch.space.walk import contains, sample, suggest
from segsearch.study.budget import Budget
from segsearch.study.record import TrialRecord

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

Sampler = Literal["pareto", "tpe", "nsga2", "gp", "random"]
OptunaSampler = Literal["tpe", "nsga2", "gp"]
POPULATION = 10
"""Of NSGA-II: studies of networks have some dozens of trials, of which Optuna's 50 would be the first generation."""


def seed_of(*parts: object) -> int:
    """32 bits that depend on every part."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest()[:4], "big")


def uniform(space: Space, seed: int) -> Point:
    """Draw one point with every choice on its path equally likely."""
    return sample(space, random.Random(seed))


class Optuna:
    """One of Optuna's samplers in one live study, told of each trial as it begins and ends.

    Trials begin in the order of their numbers and may end in any order: equal trials and results give equal answers,
    in whatever order the results arrived, and also where they are all read from disk; but the generations of NSGA-II
    are those that trials began in. To TPE, trials under way count as bad (constant liar), so that parallel ones differ.

    ``tpe`` is the multi-objective TPE (Ozaki et al. 2022). ``gp`` models the choices alone that all networks have, and
    draws the others at random.
    """

    def __init__(self, space: Space, budget: Budget, kind: OptunaSampler = "tpe", rungs: Sequence[int] = ()) -> None:
        import optuna
        from optuna.samplers import NSGAIISampler

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._budget = space, budget
        self._first_rung = rungs[0] if rungs else None
        self._study = optuna.create_study(directions=budget.directions, sampler=_given({}))
        self._running: dict[int, Trial] = {}
        self._kind = kind
        self._generations = NSGAIISampler(population_size=POPULATION) if kind == "nsga2" else None
        self.learnt = 0
        """Trials that it has results of, failed ones excluded."""

    def began(self, number: int, point: Point) -> None:
        """Add a trial that has no result yet; one whose point this space never proposes is left out."""
        if not contains(self._space, point) or not proposable(self._space, point):
            return
        params, distributions = parameters(self._space, point)
        self._study.sampler = _given(params)
        trial = self._running[number] = self._study.ask(fixed_distributions=distributions)
        if self._generations is not None:
            frozen = next(t for t in reversed(self._study.get_trials(deepcopy=False)) if t.number == trial.number)
            self._generations.get_trial_generation(self._study, frozen)

    def ended(self, record: TrialRecord) -> None:
        """Add the result of a trial that has begun.

        A trained network is told with its mIoU and costs, a rejected one without. Both are told how far they are over
        each limit: TPE counts those over a limit among the worst, the farther over the worse.
        """
        from optuna.trial import TrialState

        self.scored(record.number, record)
        trial = self._running.pop(record.number, None)
        if trial is None:
            return
        if record.state == "failed":
            self._study.tell(trial, state=TrialState.FAIL)
            return
        self._tell(trial, record, record.miou if record.trained else None)

    def scored(self, number: int, result: TrialResult) -> None:
        """Add the score of a trial at its study's first rung, in place of the final one, which few networks get.

        Scores of one length of training compare; a trial without one there, as from before the study's rungs changed,
        counts by its final score. Optuna takes intermediate values of one objective alone.
        """
        scores = [rung.miou for rung in result.rungs if rung.epochs is not None and rung.epochs == self._first_rung]
        if scores and (trial := self._running.pop(number, None)) is not None:
            self._tell(trial, result, scores[0])

    def _tell(self, trial: "Trial", result: TrialResult, miou: float | None) -> None:
        from optuna.trial import TrialState

        # as the search measured it: what is timed again at the end is not known while a study runs
        costs = costs_of(result.params, result.macs, result.latency)
        for limit, excess in self._budget.excess(**costs).items():
            # TPE looks at nothing else, and at every trial's for each parameter; the GP wants all of them
            if excess > 0 or self._kind == "gp":
                trial.set_constraint(limit, excess)
        reached = [
            self._budget.worth(name, cost) for name in self._budget.compared if (cost := costs[name]) is not None
        ]
        if miou is not None and len(reached) == len(self._budget.compared):
            self._study.tell(trial, [miou, *reached])
        else:
            self._study.tell(trial, state=TrialState.PRUNED)
        self.learnt += 1

    def ask(self, seed: int) -> Point:
        """Propose one point; ``seed`` is of this one question."""
        from optuna.trial import TrialState

        with experimental():
            self._study.sampler = _sampler(self._kind, seed)
        trial = self._study.ask()

        def answer(name: str, node: Node) -> Scalar:
            values = node.proposals()
            if len(values) == 1:
                return values[0]
            if ordered(values):
                return values[trial.suggest_int(name, 0, len(values) - 1)]
            value = trial.suggest_categorical(name, values)
            assert value is not None
            return value

        point = suggest(self._space, answer)
        # a proposal that is used begins as every other does: this trial holds drafts of choices off its path
        self._study.tell(trial, state=TrialState.FAIL)
        return point


def _sampler(kind: OptunaSampler, seed: int) -> "BaseSampler":
    """Return a sampler for one question; a start was made before."""
    from optuna.samplers import GPSampler, NSGAIISampler, TPESampler

    if kind == "nsga2":
        return NSGAIISampler(seed=seed, population_size=POPULATION)
    if kind == "gp":
        return GPSampler(seed=seed, n_startup_trials=0, warn_independent_sampling=False)
    # parameters that appear together are modelled together, so that a conditional space is not searched at random
    return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=0)


def _given(params: dict[str, Any]) -> "BaseSampler":
    """Return a sampler that answers with values given beforehand."""
    from optuna.samplers import PartialFixedSampler, RandomSampler

    with experimental():
        return PartialFixedSampler(params, RandomSampler(seed=0))


@contextmanager
def experimental() -> Iterator[None]:
    """Let optuna not warn that a part of it may change: its version is bounded."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def proposable(space: Space, point: Point) -> bool:
    """Whether each choice that a search varies has a value that it proposes; those it holds may have any."""
    nodes = dict(space.nodes())
    return all(len(values := nodes[name].proposals()) < 2 or value in values for name, value in point.items())


def parameters(space: Space, point: Point) -> tuple[dict[str, Any], dict[str, "BaseDistribution"]]:
    """Write the choices that a search varies as Optuna's parameters and their distributions."""
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}

    def replay(name: str, node: Node) -> Scalar:
        values = node.proposals()
        if len(values) > 1:
            distributions[name] = distribution(values)
            params[name] = values.index(point[name]) if ordered(values) else point[name]
        return point[name]

    suggest(space, replay)
    return params, distributions


def distribution(values: Sequence[Scalar]) -> "BaseDistribution":
    """Describe values as `Tpe.ask` asks for them; numbers go by their place in the list: neighbours are similar."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    return IntDistribution(0, len(values) - 1) if ordered(values) else CategoricalDistribution(list(values))


def ordered(values: Sequence[Scalar]) -> bool:
    """Whether values are numbers."""
    return isinstance(values, range) or all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
