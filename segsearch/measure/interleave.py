"""Samples in blocks between blocks of a reference network, which tells whether the machine stood still meanwhile.

R A R A ... R: a block A counts if the references on both its sides are at their level; else one more block is taken.
Where time is given for spare blocks, each is taken of a network prepared once more, and those with the highest medians
are put aside: how buffers happen to lie in memory stays with a prepared network for life, and costs some percent.
The level is the lower quartile of all references of this measurement, or what is known of this machine if that is
lower: load and heat only make them slower.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence

from segsearch.measure.stopwatch import Stopwatch, Work
from segsearch.measure.timer import Samples, TimerSettings, no_garbage_collection, quantile, take, warm_up
from segsearch.progress import Report, silent

LEAD_SECONDS = 0.02
"""Calls before each block that are not counted: the reference has emptied caches, and threads have fallen asleep."""

PATIENCE_SECONDS = 20.0
"""So long one measurement waits, in all, for a machine to come back to its level before blocks are spent on it."""
NAP_SECONDS = 0.2

ReferenceBlock = Callable[[], float]
"""Times one block of the reference network; its latency in milliseconds."""

Again = Callable[[], Work]
"""Prepares the call once more, elsewhere in memory."""


def sample_steadily(
    call: Work,
    reference: ReferenceBlock,
    *,
    settings: TimerSettings,
    stopwatch: Stopwatch,
    again: Again | None = None,
    known_ms: float | None = None,
    patience_seconds: float = 0.0,
    report: Report = silent,
) -> Samples:
    """Warm up, then take blocks until enough of them lie between references at their level.

    ``again`` gives each spare block a call of its own. ``known_ms`` is the reference's latency on this machine when it
    stands still. While the reference takes longer, up to ``patience_seconds`` pass before the next block.

    Where that does not happen within ``settings.retakes`` more blocks, the samples are of the quietest blocks there
    are, and ``steady`` is False. ``report`` is told of every block.
    """
    with no_garbage_collection():
        report("warm up", 0, settings.blocks)
        reference()  # its own first calls
        warmup_calls, settled = warm_up(call, settings, stopwatch)
        references, blocks, deadline = [reference()], list[list[float]](), time.monotonic() + patience_seconds

        def take_block(call: Work) -> None:
            while drifts([references[-1]] * 2, known_ms)[0] > settings.reference_tolerance and (
                time.monotonic() < deadline
            ):
                time.sleep(NAP_SECONDS)
                references[-1] = reference()
            report("sample", min(_quiet(references, settings, known_ms), settings.blocks), settings.blocks)
            take(call, stopwatch, 1, LEAD_SECONDS)
            blocks.append(take(call, stopwatch, settings.block_samples, settings.block_seconds))
            references.append(reference())

        while not _enough(references, settings, known_ms):
            take_block(call)
        for spare in _spare_calls(call, again, sum(blocks[-1]) / 1e3, settings, stopwatch):
            take_block(spare)
    return _chosen(blocks, references, settings, known_ms, warmup_calls, settled)


def _spare_calls(
    call: Work, again: Again | None, block_seconds: float, settings: TimerSettings, stopwatch: Stopwatch
) -> Iterator[Work]:
    """Give a warm call for every spare block, as long as one that takes no longer than the last still fits in."""
    end, lasted = stopwatch.now_seconds() + settings.spare_seconds, block_seconds
    while (begun := stopwatch.now_seconds()) + lasted < end:
        if again is not None:
            call = again()
            take(call, stopwatch, settings.warmup_block_calls, settings.warmup_block_seconds)
        yield call
        lasted = stopwatch.now_seconds() - begun


def drifts(references: Sequence[float], known_ms: float | None = None) -> list[float]:
    """For each block between two references, the larger fraction by which these are off their level."""
    level = min(quantile(references, 0.25), known_ms or float("inf"))
    off = [abs(reference / level - 1) for reference in references]
    return [max(pair) for pair in itertools.pairwise(off)]


def _enough(references: Sequence[float], settings: TimerSettings, known_ms: float | None) -> bool:
    """Whether all blocks are quiet that are needed, or too many were not."""
    taken, quiet = len(references) - 1, _quiet(references, settings, known_ms)
    return taken >= settings.blocks and (quiet >= settings.blocks or taken - quiet > settings.retakes)


def _quiet(references: Sequence[float], settings: TimerSettings, known_ms: float | None) -> int:
    return sum(drift <= settings.reference_tolerance for drift in drifts(references, known_ms))


def _chosen(
    blocks: Sequence[list[float]],
    references: Sequence[float],
    settings: TimerSettings,
    known_ms: float | None,
    warmup_calls: int,
    settled: bool,
) -> Samples:
    """Choose the quickest of the quiet blocks, or the quietest there are; in the order they were taken."""
    off = drifts(references, known_ms)
    pool = [index for index, drift in enumerate(off) if drift <= settings.reference_tolerance]
    if len(pool) < settings.blocks:
        pool = sorted(range(len(blocks)), key=off.__getitem__)[: settings.blocks]
    chosen = sorted(sorted(pool, key=lambda index: quantile(blocks[index], 0.5))[: settings.blocks])
    beside = [references[place] for place in sorted({*chosen, *(index + 1 for index in chosen)})]
    drift = max(off[index] for index in chosen)
    return Samples(
        samples_ms=tuple(lap for index in chosen for lap in blocks[index]),
        warmup_calls=warmup_calls,
        warmup_settled=settled,
        reference_ms=quantile(beside, 0.5),
        drift=drift,
        steady=drift <= settings.reference_tolerance,
        retakes=len(blocks) - len(pool),
    )
