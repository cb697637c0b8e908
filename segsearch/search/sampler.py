"""What Optuna is asked and told. The next point is a pure function of the space, the trials so far, and a seed.

The study lives in memory and is built anew for every question from the records on disk, with a fresh sampler: nothing
that Optuna keeps could disagree with them, and after a crash it proposes what it would have proposed without.
"""

import hashlib
import random
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from segsearch.search.budget import Budget
from segsearch.search.record import TrialRecord
from segsearch.space.nodes import Node, Point, Scalar, Space
from segsearch.space.walk import contains, sample, suggest

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def seed_of(*parts: object) -> int:
    """32 bits that depend on every part."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest()[:4], "big")


def uniform(space: Space, seed: int) -> Point:
    """Draw one point with every choice on its path equally likely."""
    return sample(space, random.Random(seed))


def ask(space: Space, told: Sequence["FrozenTrial"], seed: int) -> Point:
    """Ask the multi-objective TPE for one point (Ozaki et al. 2022), given all that the study knows.

    Parameters that appear together are modelled together, so that a conditional space is not searched at random.

    Args:
        space: the tree to walk.
        told: results of `tell`.
        seed: of this one question.
    """
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of group=True
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=0)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.add_trials(told)
    trial = study.ask()

    def answer(name: str, node: Node) -> Scalar:
        values = node.proposals()
        if len(values) == 1:
            return values[0]
        if _ordered(values):
            return values[trial.suggest_int(name, 0, len(values) - 1)]
        value = trial.suggest_categorical(name, values)
        assert value is not None
        return value

    return suggest(space, answer)


def tell(space: Space, budget: Budget, record: TrialRecord) -> "FrozenTrial | None":
    """Turn a record into what Optuna learns from; None if it failed, or this space never proposes its point.

    A trained network is told with its mIoU and latency. A rejected one is told without values, but with how far it is
    over each limit: the sampler counts it among the worst, the farther over the worse.
    """
    import optuna

    if record.state == "failed" or not contains(space, record.point) or not _proposable(space, record.point):
        return None
    params, distributions = _parameters(space, record.point)
    states = optuna.trial.TrialState
    return optuna.trial.create_trial(
        state=states.COMPLETE if record.trained else states.PRUNED,
        values=[record.miou, record.latency_ms] if record.trained else None,
        params=params,
        distributions=distributions,
        constraints=budget.excess(record.params, record.macs, record.latency.median_ms if record.latency else None),
    )


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
    """Describe values as `ask` asks for them; numbers go by their place in the list, so that neighbours are known."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    return IntDistribution(0, len(values) - 1) if _ordered(values) else CategoricalDistribution(list(values))


def _ordered(values: Sequence[Scalar]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


Sampler = Literal["tpe", "random"]
