"""Which trained networks are worth having: the Pareto front (mIoU up, latency down), its area and its knee."""

import math
from collections.abc import Callable, Iterable, Sequence

from segsearch.search.budget import Budget
from segsearch.search.record import TrialRecord


def front(records: Iterable[TrialRecord], budget: Budget | None = None) -> list[TrialRecord]:
    """Return the trained records within a budget that no other such beats, fastest first.

    Of equals the earliest trial stands for all. Networks that were timed again are compared by these figures. One that
    was not is compared with the others by the figures of the search, which they have in common.
    """
    inside = [r for r in records if r.trained and (budget is None or r.meets(budget))]
    if any(r.confirmed for r in inside):
        before = _best(inside, _searched_ms)
        inside = [r for r in inside if r.confirmed] + [r for r in before if not r.confirmed]
    return _best(inside, lambda r: r.latency_ms)


def _best(records: Iterable[TrialRecord], latency_ms: Callable[[TrialRecord], float]) -> list[TrialRecord]:
    chosen: list[TrialRecord] = []
    for record in sorted(records, key=lambda r: (latency_ms(r), -r.miou, r.number)):
        if not chosen or record.miou > chosen[-1].miou:
            chosen.append(record)
    return chosen


REACH, UNSTEADY_REACH = 0.8, 0.5
"""A network may be found so many times as slow as it was measured, by another measurement or in an exported file."""


def within_reach(records: Iterable[TrialRecord], budget: Budget) -> list[TrialRecord]:
    """Return the trained records that are on a front, or would be if they were measured again, in any order.

    Both fronts count, within the budget and of all networks: any limit of latency leaves a part of the latter.
    """
    trained = [record for record in records if record.trained]
    inside = [record for record in trained if record.meets(budget)]
    found = (*front(trained), *front(inside), *_near(trained), *_near(inside))
    return list({record.number: record for record in found}.values())


def _near(trained: Sequence[TrialRecord]) -> list[TrialRecord]:
    """By the figures of the search, which all have: those of the end may be of a busier machine."""
    best = _best(trained, _searched_ms)

    def reaches(record: TrialRecord) -> bool:
        steady = record.latency is not None and record.latency.steady
        least_ms = _searched_ms(record) * (REACH if steady else UNSTEADY_REACH)
        return not any(_searched_ms(other) < least_ms and other.miou >= record.miou for other in best)

    return [record for record in trained if reaches(record)]


def _searched_ms(record: TrialRecord) -> float:
    assert record.latency is not None, "trained networks were measured"
    return record.latency.median_ms


def knee(records: Sequence[TrialRecord]) -> TrialRecord:
    """Return the network of the front that lies farthest from the line between its ends, both axes scaled to 0..1.

    That is where more latency begins to buy less mIoU. A front of two has no such network: the better one of them.
    """
    best = front(records)
    first, last = best[0], best[-1]
    wide, high = last.latency_ms - first.latency_ms, last.miou - first.miou

    def distance(record: TrialRecord) -> float:
        inside = 0 < wide and 0 < high
        across, up = (record.latency_ms - first.latency_ms), (record.miou - first.miou)
        return round((up / high - across / wide) / math.sqrt(2), 12) if inside else 0.0

    return max(best, key=lambda r: (distance(r), r.miou))


def hypervolume(pairs: Iterable[tuple[float, float]], worst: tuple[float, float]) -> float:
    """Return the area that ``(miou, latency_ms)`` pairs dominate, up to ``worst``: lowest miou, highest latency_ms."""
    area, reached = 0.0, worst[0]
    ceiling = worst[1]
    for miou, latency_ms in sorted(pairs, key=lambda pair: (pair[1], -pair[0])):
        if latency_ms < ceiling and miou > reached:
            area += (miou - reached) * (ceiling - latency_ms)
            reached = miou
    return area


def nearest(records: Iterable[TrialRecord]) -> str:
    """Say in words which measured network is the fastest, so that a person knows how far a budget is away."""
    measured = [r for r in records if r.latency is not None]
    if not measured:
        return "no network has been measured"
    closest = min(measured, key=lambda r: (r.latency_ms, r.number))
    return (
        f"the nearest is {closest.name} (spec {closest.spec_id}) at {closest.latency_ms:.2f} ms, {closest.fps:.1f} FPS"
    )
