"""Which trained networks are worth having: the Pareto front (mIoU up, latency down), its area, the best in a budget."""

from collections.abc import Iterable, Sequence

from segsearch.errors import BudgetError
from segsearch.search.record import TrialRecord


def front(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trained records that no other beats, fastest first; of equals the earliest trial stands for all."""
    trained = sorted((r for r in records if r.trained), key=lambda r: (r.latency_ms, -r.miou, r.number))
    chosen: list[TrialRecord] = []
    for record in trained:
        if not chosen or record.miou > chosen[-1].miou:
            chosen.append(record)
    return chosen


def hypervolume(pairs: Iterable[tuple[float, float]], worst: tuple[float, float]) -> float:
    """Return the area that ``(miou, latency_ms)`` pairs dominate, up to ``worst``: lowest miou, highest latency_ms."""
    area, reached = 0.0, worst[0]
    ceiling = worst[1]
    for miou, latency_ms in sorted(pairs, key=lambda pair: (pair[1], -pair[0])):
        if latency_ms < ceiling and miou > reached:
            area += (miou - reached) * (ceiling - latency_ms)
            reached = miou
    return area


def best_within(records: Sequence[TrialRecord], fps: float | None = None) -> TrialRecord:
    """Return the trained record of highest mIoU at ``fps`` images per second or more; of equals the faster.

    Raises:
        BudgetError: none is; names the nearest.
    """
    trained = [r for r in records if r.trained]
    inside = [r for r in trained if fps is None or r.fps >= fps]
    if inside:
        return max(inside, key=lambda r: (r.miou, -r.latency_ms, -r.number))
    if fps is None or not trained:
        raise BudgetError("no network has been trained yet; " + nearest(records))
    raise BudgetError(f"no trained network reaches {fps:g} FPS; " + nearest(trained))


def nearest(records: Iterable[TrialRecord]) -> str:
    """Say in words which measured network is the fastest, so that a person knows how far a budget is away."""
    measured = [r for r in records if r.latency is not None]
    if not measured:
        return "no network has been measured"
    closest = min(measured, key=lambda r: (r.latency_ms, r.number))
    return (
        f"the nearest is {closest.name} (spec {closest.spec_id}) at {closest.latency_ms:.2f} ms, {closest.fps:.1f} FPS"
    )
