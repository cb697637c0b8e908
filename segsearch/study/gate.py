"""Whether a measured network is trained: decided from all its measurements, so that a loaded machine costs no network.

A busy or throttled machine only ever slows a network down. So one measurement within the budget is enough to train, and
one over it is not enough to reject: a network is rejected where even the lowest latency that its measurements leave
possible, `optimistic_ms`, is over the budget. In between it waits, is measured again while the study goes on, and after
`MEASUREMENTS` is trained and marked ``unsure``.
"""

import statistics
from collections.abc import Iterable, Sequence

from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import quantile
from segsearch.result import Decision
from segsearch.study.budget import Budget

WAITS = (1, 2, 4)
"""A network that waits is measured again after so many more finished trials, one number per measurement."""
MEASUREMENTS = 1 + len(WAITS)
MARGIN = 1.2
"""An unsteady measurement is divided by it: shares of a processor differ by so much from one second to the next."""
ALIKE = 0.03
"""Medians that differ by less than this fraction are one latency; of such the steady measurement is quoted."""


def gate(
    budget: Budget, params: int, macs: int, measurements: Sequence[LatencyRecord], rest_ms: float | None
) -> Decision:
    """Decide from what is known of one network.

    Args:
        budget: the limits.
        params: of the network.
        macs: of the network.
        measurements: all of its latency on one device, in any order; none before the first.
        rest_ms: the least latency of the reference network that the study has seen on this device and these threads.
    """
    first = best_of(measurements) if measurements else None
    if reason := budget.refusal(params, macs, None, first.memory_mib if first else None):
        return Decision(verdict="reject", reason=reason, latency=first)
    if not measurements:
        return Decision(verdict="train")
    limit_ms = budget.limit_ms
    if within := [record for record in measurements if limit_ms is None or record.median_ms <= limit_ms]:
        return Decision(verdict="train", latency=best_of(within))
    assert limit_ms is not None
    best = best_of(measurements)
    steady = [record for record in measurements if record.steady]
    rest_ms = least_reference_ms(measurements, rest_ms)
    lowest_ms = min(optimistic_ms(record, rest_ms) for record in steady or measurements)
    reason = budget.refusal(params, macs, best.median_ms) or ""
    if lowest_ms > limit_ms:
        return Decision(verdict="reject", reason=reason, latency=best)
    reason += f"; perhaps {lowest_ms:.2f} ms where nothing slows the machine down"
    if len(measurements) < MEASUREMENTS:
        return Decision(verdict="wait", reason=reason, latency=best)
    return Decision(verdict="train", reason=reason, latency=best, unsure=True)


def optimistic_ms(record: LatencyRecord, rest_ms: float | None) -> float:
    """Return the lowest latency on the machine at rest that a measurement leaves possible, in milliseconds.

    The reference network was timed between the samples on the same processors. Where it took longer than ``rest_ms``,
    the measured network is taken to have been slowed down by the same factor: that covers a machine whose clock is low
    or whose host is busy, where nothing is seen of others and the measurement is steady.

    Of an unsteady measurement the least of three figures counts, as each is blind to some load. By the medians, as
    above. By the means: where a scheduler lets others run every few milliseconds, most calls of the short reference
    network are undisturbed and its median stays, but every call of a longer network is interrupted; in the mean both
    lose the same share of their time. And the fastest tenth of the samples themselves, for load that came and went.
    """
    figures = [record.median_ms]
    if record.reference_ms is not None and rest_ms is not None:
        figures.append(record.median_ms * rest_ms / record.reference_ms)
    if record.steady:
        return min(figures)
    figures.append(record.p10_ms)
    if laps := record.reference_samples_ms:
        # under load from the first measurement on, no median at rest is known: the fastest calls are the nearest to it
        fastest_ms = min(quantile(laps, 0.1), quantile(laps, 0.1) if rest_ms is None else rest_ms)
        figures.append(statistics.fmean(record.samples_ms) * fastest_ms / statistics.fmean(laps))
    return min(figures) / MARGIN


def least_reference_ms(measurements: Iterable[LatencyRecord], known_ms: float | None = None) -> float | None:
    """Return the least latency of the reference network beside these measurements, or ``known_ms`` if that is less."""
    seen = [record.reference_ms for record in measurements if record.reference_ms is not None]
    return min([*seen, *([known_ms] if known_ms is not None else [])], default=None)


def best_of(measurements: Sequence[LatencyRecord]) -> LatencyRecord:
    """Return the measurement to quote: the fastest, or a steady one of the same latency."""
    fastest = min(measurements, key=lambda record: record.median_ms)
    alike = [r for r in measurements if r.steady and r.median_ms <= (1 + ALIKE) * fastest.median_ms]
    return min(alike, key=lambda record: record.median_ms, default=fastest)


def due_after(measured: int, finished: int) -> int:
    """Return after how many finished trials a network is measured again that was measured so often by now."""
    return finished + WAITS[min(measured, len(WAITS)) - 1]
