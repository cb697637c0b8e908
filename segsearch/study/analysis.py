"""What a study's records say of the search itself: how its front grew, and which choices matter for being on it."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segsearch.space.nodes import Scalar
from segsearch.study.budget import Budget
from segsearch.study.pareto import figures, hypervolume, undominated
from segsearch.study.promotion import Scores, agreements
from segsearch.study.record import TrialRecord

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

LEAST = 15
"""Fewer trained networks than these say nothing of single choices."""
TOP_SHARE, LEAST_TOP = 0.1, 5
"""Choices of the best tenth, or of five networks if that is more, are compared with those of all."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """The area under the front after each training, in mIoU times milliseconds, up to a reference.

    Of other objectives than mIoU and latency it is a volume, in mIoU times all costs.
    """

    objectives: tuple[str, ...]
    """``miou`` and the costs."""
    reference: tuple[float, ...]
    """Lowest mIoU of the networks within the budget, and of each cost the budget's limit or the highest there is."""
    trainings: tuple[float, ...]
    """Whole trainings by then; what was stopped at a rung counts by its share."""
    areas: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """All that is told of a search beside its networks."""

    growth: Growth | None
    """None where no network is trained within the budget."""
    importance: dict[str, dict[str, float]]
    """Of the choices for being on the ``front`` and for a high ``miou``, largest first; none of a few networks."""
    rungs: tuple[tuple[int, int | None, int, float | None], ...]
    """Epochs of a rung and of the next, None for the end; networks scored at both; Kendall's tau of their orders."""

    def as_plain(self) -> dict[str, Any]:
        """Plain data, for programs."""
        growth = self.growth and {
            "reference": dict(zip(self.growth.objectives, self.growth.reference, strict=True)),
            "trainings": list(self.growth.trainings),
            "hypervolume": list(self.growth.areas),
        }
        keys = ("epochs", "following", "networks", "tau")
        rungs = [dict(zip(keys, rung, strict=True)) for rung in self.rungs]
        return {"growth": growth, "importance": self.importance, "rungs": rungs}


def analyse(records: Sequence[TrialRecord], budget: Budget) -> Analysis:
    """Look at all trials of a study."""
    rungs = sorted({rung.epochs for record in records for rung in record.rungs if rung.epochs})
    found = agreements(Scores.of(records), rungs)
    return Analysis(
        growth=_growth(records, budget),
        importance=_importance([record for record in records if record.trained], budget),
        rungs=tuple((each.rung, each.following, each.pairs, each.tau) for each in found),
    )


def _growth(records: Sequence[TrialRecord], budget: Budget) -> Growth | None:
    inside = [record for record in records if record.trained and record.meets(budget)]
    if not inside:
        return None
    worst = [max(column) for column in zip(*(figures(record, budget) for record in inside), strict=True)][1:]
    highest = [budget.limits.get(name, most) for name, most in zip(budget.compared, worst, strict=True)]
    reference = (min(r.miou for r in inside), *highest)
    trainings, areas, points, total = list[float](), list[float](), list[tuple[float, ...]](), 0.0
    for record in sorted(records, key=lambda r: (r.finished_at, r.number)):
        if not record.share:
            continue
        total += record.share
        if record.trained and record.meets(budget):
            points = undominated([*points, figures(record, budget)], lambda point: (*point[1:], -point[0]))[0]
        trainings.append(round(total, 6))
        areas.append(hypervolume(points, reference))
    return Growth(objectives=budget.objectives, reference=reference, trainings=tuple(trainings), areas=tuple(areas))


def _importance(trained: Sequence[TrialRecord], budget: Budget) -> dict[str, dict[str, float]]:
    """Ask Optuna's PED-ANOVA (Watanabe et al. 2023), which compares the choices of the best with those of all."""
    if len(trained) < LEAST:
        return {}
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=budget.directions)
    study.add_trials(_trials(trained, budget))
    top = max(TOP_SHARE, LEAST_TOP / len(trained))
    targets: dict[str, Callable[[FrozenTrial], float] | None] = {"front": None, "miou": lambda trial: -trial.values[0]}
    found: dict[str, dict[str, float]] = {}
    for name, target in targets.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that lower is better, as it is of what is given, and of small samples
            worth = PedAnovaImportanceEvaluator(target_quantile=top).evaluate(study, target=target)
        total = sum(worth.values())
        if total > 0:
            shares = {key: round(value / total, 6) for key, value in worth.items()}
            found[name] = dict(sorted(shares.items(), key=lambda share: (-share[1], share[0])))
    return found


def _trials(trained: Sequence[TrialRecord], budget: Budget) -> "list[FrozenTrial]":
    """Write records with their choices as they are; of numbers, the place among those that occur."""
    from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
    from optuna.trial import create_trial

    seen: dict[str, set[Scalar]] = {}
    for record in trained:
        for name, value in record.point.items():
            seen.setdefault(name, set()).add(value)
    values = {name: _sorted(there) for name, there in seen.items() if len(there) > 1}
    kinds: dict[str, BaseDistribution] = {
        name: IntDistribution(0, len(there) - 1) if _numbers(there) else CategoricalDistribution(there)
        for name, there in values.items()
    }

    def trial(record: TrialRecord) -> "FrozenTrial":
        varied = {name: value for name, value in record.point.items() if name in kinds}
        return create_trial(
            values=list(figures(record, budget)),
            params={n: values[n].index(v) if _numbers(values[n]) else v for n, v in varied.items()},
            distributions={name: kinds[name] for name in varied},
        )

    return [trial(record) for record in trained]


def _sorted(values: set[Scalar]) -> list[Scalar]:
    return sorted(values, key=lambda value: (str(type(value)), value))


def _numbers(values: Sequence[Scalar]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
