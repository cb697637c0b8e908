"""Which trained networks are worth having: the Pareto front (mIoU up, costs down), its hypervolume and its knee."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from segsearch.study.budget import Budget
from segsearch.study.record import TrialRecord

T = TypeVar("T")
Losses = tuple[float, ...]
"""What a network is compared by, each to be made small: the costs, then the negative mIoU."""


def losses(miou: float, costs: Mapping[str, float | None], budget: Budget) -> Losses:
    """Return the figures that count; a cost that is not known is taken for the worst."""
    return (
        *(math.inf if (cost := costs[name]) is None else budget.worth(name, cost) for name in budget.compared),
        -miou,
    )


def undominated(items: Iterable[T], losses_of: Callable[[T], Losses]) -> tuple[list[T], list[T]]:
    """Part into those that no other is as good as in all figures, and the rest, each by their losses.

    Of equals the first stands for all.
    """
    best, reached, rest = list[T](), list[Losses](), list[T]()
    for found, each in sorted(((losses_of(item), item) for item in items), key=lambda pair: pair[0]):
        if any(_as_good(other, found) for other in reversed(reached)):
            rest.append(each)
        else:
            best.append(each)
            reached.append(found)
    return best, rest


def _as_good(one: Losses, other: Losses) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))


def front(records: Iterable[TrialRecord], budget: Budget | None = None) -> list[TrialRecord]:
    """Return the trained records within a budget that no other such beats, fastest first.

    Of equals the earliest trial stands for all. Networks that were timed again are compared by these figures. One that
    was not is compared with the others by the figures of the search, which they have in common.
    """
    budget = budget or Budget()
    inside = [r for r in records if r.trained and r.meets(budget)]
    if any(r.confirmed for r in inside):
        before = _best(inside, budget, searched=True)
        inside = [r for r in inside if r.confirmed] + [r for r in before if not r.confirmed]
    return sorted(_best(inside, budget), key=lambda r: (r.latency_ms, r.miou, r.number))


def _best(records: Iterable[TrialRecord], budget: Budget, *, searched: bool = False) -> list[TrialRecord]:
    ordered = sorted(records, key=lambda r: r.number)
    return undominated(ordered, lambda r: losses_of(r, budget, searched=searched))[0]


def figures(record: TrialRecord, budget: Budget) -> tuple[float, ...]:
    """Return what a trained network reaches in each objective of a study, ``miou`` first."""
    *costs, negative = losses_of(record, budget)
    return (-negative, *costs)


def losses_of(record: TrialRecord, budget: Budget, *, searched: bool = False) -> Losses:
    """Return what a trained network is compared by; with ``searched``, by the latency that the search measured."""
    return losses(record.miou, record.costs if searched else record.quoted_costs, budget)


REACH, UNSTEADY_REACH = 0.8, 0.5
"""A network may be found so many times as slow as it was measured, by another measurement or in an exported file."""


def within_reach(records: Iterable[TrialRecord], budget: Budget) -> list[TrialRecord]:
    """Return the trained records that are on a front, or would be if they were measured again, in any order.

    Both fronts count, within the budget and of all networks: any limit of latency leaves a part of the latter.
    """
    trained = [record for record in records if record.trained]
    inside = [record for record in trained if record.meets(budget)]
    everywhere = budget.aims
    found = (
        *(*front(trained, everywhere), *front(inside, everywhere)),
        *(*_near(trained, budget), *_near(inside, budget)),
    )
    return list({record.number: record for record in found}.values())


def _near(trained: Sequence[TrialRecord], budget: Budget) -> list[TrialRecord]:
    """By the figures of the search, which all have: those of the end may be of a busier machine."""
    best = [(other, losses_of(other, budget, searched=True)) for other in _best(trained, budget, searched=True)]

    def reaches(record: TrialRecord) -> bool:
        assert record.latency is not None, "trained networks were measured"
        least_ms = record.latency.median_ms * (REACH if record.latency.steady else UNSTEADY_REACH)
        least = losses(record.miou, record.costs | {"latency_ms": least_ms}, budget)
        return not any(other is not record and _as_good(found, least) for other, found in best)

    return [record for record in trained if reaches(record)]


def knee(records: Sequence[TrialRecord], budget: Budget | None = None) -> TrialRecord:
    """Return the network of the front that lies farthest from the line between its ends, all axes scaled to 0..1.

    That is where more latency begins to buy less mIoU. A front of two has no such network: the better one of them. Of
    several costs the mean of the scaled ones counts. The limits of the budget are not asked, its objectives are.
    """
    aims = budget.aims if budget else Budget()
    best = front(records, aims)
    places = scaled([losses_of(record, aims) for record in best])
    distances = [round(-sum(costs) / len(costs) - lack, 12) for *costs, lack in places]
    return max(zip(distances, best, strict=True), key=lambda pair: (pair[0], pair[1].miou, -pair[1].latency_ms))[1]


def scaled(points: Sequence[Losses]) -> list[Losses]:
    """Scale each figure to 0..1 between its least and its largest; one that all have alike becomes 0."""
    spans = [(min(column), max(column)) for column in zip(*points, strict=True)]
    return [
        tuple(
            (x - low) / (high - low) if low < high < math.inf else 0.0 for x, (low, high) in zip(p, spans, strict=True)
        )
        for p in points
    ]


def hypervolume(points: Iterable[tuple[float, ...]], worst: tuple[float, ...]) -> float:
    """Return the volume that points ``(miou, cost, ...)`` dominate, up to ``worst``: lowest miou, highest costs.

    Of ``(miou, latency_ms)`` pairs it is an area. One cost after the other is cut into slices.
    """
    inside = [point for point in points if all(a < b for a, b in zip(point[1:], worst[1:], strict=True))]
    if len(worst) == 1:
        return max((0.0, *(point[0] - worst[0] for point in inside)))
    levels = sorted({point[-1] for point in inside} | {worst[-1]})
    volume = 0.0
    for low, high in pairwise(levels):
        below = undominated(
            (point[:-1] for point in inside if point[-1] <= low), lambda point: (*point[1:], -point[0])
        )[0]
        volume += (high - low) * hypervolume(below, worst[:-1])
    return volume


def nearest(records: Iterable[TrialRecord]) -> str:
    """Say in words which measured network is the fastest, so that a person knows how far a budget is away."""
    measured = [r for r in records if r.latency is not None]
    if not measured:
        return "no network has been measured"
    closest = min(measured, key=lambda r: (r.latency_ms, r.number))
    return (
        f"the nearest is {closest.name} (spec {closest.spec_id}) at {closest.latency_ms:.2f} ms, {closest.fps:.1f} FPS"
    )
