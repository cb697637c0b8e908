"""What Optuna is asked and told. The next point is a pure function of the space, the trials so far, and a seed."""

import hashlib
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from segsearch.search.budget import Budget
from segsearch.search.record import TrialRecord
from segsearch.space.nodes import Node, Point, Scalar, Space
from segsearch.space.walk import contains, sample, suggest

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

Sampler = Literal["tpe", "random"]


def seed_of(*parts: object) -> int:
    """32 bits that depend on every part."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest()[:4], "big")


def uniform(space: Space, seed: int) -> Point:
    """Draw one point with every choice on its path equally likely."""
    return sample(space, random.Random(seed))


class Tpe:
    """The multi-objective TPE (Ozaki et al. 2022) in one live Optuna study, told of each trial as it begins and ends.

    Trials begin in the order of their numbers and may end in any order: equal trials and results give equal answers,
    in whatever order the results arrived, and also where they are all read from disk. Trials under way count as bad
    (constant liar), so that parallel trials differ.
    """

    def __init__(self, space: Space, budget: Budget) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._budget = space, budget
        self._study = optuna.create_study(directions=["maximize", "minimize"], sampler=_given({}))
        self._running: dict[int, Trial] = {}
        self.learnt = 0
        """Trials that it has results of, failed ones excluded."""

    def began(self, number: int, point: Point) -> None:
        """Add a trial that has no result yet; one whose point this space never proposes is left out."""
        if not contains(self._space, point) or not _proposable(self._space, point):
            return
        params, distributions = _parameters(self._space, point)
        self._study.sampler = _given(params)
        self._running[number] = self._study.ask(fixed_distributions=distributions)

    def ended(self, record: TrialRecord) -> None:
        """Add the result of a trial that has begun.

        A trained network is told with its mIoU and latency, a rejected one without. Both are told how far they are over
        each limit: TPE counts those over a limit among the worst, the farther over the worse.
        """
        from optuna.trial import TrialState

        trial = self._running.pop(record.number, None)
        if trial is None:
            return
        if record.state == "failed":
            self._study.tell(trial, state=TrialState.FAIL)
            return
        # as the search measured it: what is timed again at the end is not known while a study runs
        latency_ms = record.latency.median_ms if record.latency else None
        for limit, excess in self._budget.excess(record.params, record.macs, latency_ms).items():
            if excess > 0:  # TPE looks at nothing else, and at every trial's for each parameter
                trial.set_constraint(limit, excess)
        if record.trained:
            assert latency_ms is not None, "trained networks were measured"
            self._study.tell(trial, [record.miou, latency_ms])
        else:
            self._study.tell(trial, state=TrialState.PRUNED)
        self.learnt += 1

    def ask(self, seed: int) -> Point:
        """Propose one point; ``seed`` is of this one question.

        Parameters that appear together are modelled together, so that a conditional space is not searched at random.
        """
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        with _experimental():
            self._study.sampler = TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=0)
        trial = self._study.ask()

        def answer(name: str, node: Node) -> Scalar:
            values = node.proposals()
            if len(values) == 1:
                return values[0]
            if _ordered(values):
                return values[trial.suggest_int(name, 0, len(values) - 1)]
            value = trial.suggest_categorical(name, values)
            assert value is not None
            return value

        point = suggest(self._space, answer)
        # a proposal that is used begins as every other does: this trial holds drafts of choices off its path
        self._study.tell(trial, state=TrialState.FAIL)
        return point


def _given(params: dict[str, Any]) -> "BaseSampler":
    """Return a sampler that answers with values given beforehand."""
    from optuna.samplers import PartialFixedSampler, RandomSampler

    with _experimental():
        return PartialFixedSampler(params, RandomSampler(seed=0))


@contextmanager
def _experimental() -> Iterator[None]:
    """Let optuna not warn that a part of it may change: its version is bounded."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _proposable(space: Space, point: Point) -> bool:
    """Whether each choice that a search varies has a value that it proposes; those it holds may have any."""
    nodes = dict(space.nodes())
    return all(len(values := nodes[name].proposals()) < 2 or value in values for name, value in point.items())


def _parameters(space: Space, point: Point) -> tuple[dict[str, Any], dict[str, "BaseDistribution"]]:
    """Write the choices that a search varies as Optuna's parameters and their distributions."""
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}

    def replay(name: str, node: Node) -> Scalar:
        values = node.proposals()
        if len(values) > 1:
            distributions[name] = _distribution(values)
            params[name] = values.index(point[name]) if _ordered(values) else point[name]
        return point[name]

    suggest(space, replay)
    return params, distributions


def _distribution(values: Sequence[Scalar]) -> "BaseDistribution":
    """Describe values as `Tpe.ask` asks for them; numbers go by their place in the list: neighbours are similar."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    return IntDistribution(0, len(values) - 1) if _ordered(values) else CategoricalDistribution(list(values))


def _ordered(values: Sequence[Scalar]) -> bool:
    return isinstance(values, range) or all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
