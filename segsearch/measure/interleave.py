"""Samples in blocks between blocks of a reference network, which tells whether the machine stood still meanwhile.

R A R A ... R: a block A counts if the references on both its sides are at their level; else one more block is taken.
The level is the lower quartile of all references of this measurement: load and heat only make them slower.
"""

import itertools
from collections.abc import Callable, Sequence

from segsearch.measure.stopwatch import Stopwatch, Work
from segsearch.measure.timer import Samples, TimerSettings, no_garbage_collection, quantile, take, warm_up
from segsearch.progress import Report, silent

LEAD_SECONDS = 0.02
"""Calls before each block that are not counted: the reference has emptied caches, and threads have fallen asleep."""

ReferenceBlock = Callable[[], float]
"""Times one block of the reference network; its latency in milliseconds."""


def sample_steadily(
    call: Work,
    reference: ReferenceBlock,
    *,
    settings: TimerSettings,
    stopwatch: Stopwatch,
    report: Report = silent,
) -> Samples:
    """Warm up, then take blocks until enough of them lie between references at their level.

    Where that does not happen within ``settings.retakes`` more blocks, the samples are of the quietest blocks there
    are, and ``steady`` is False. ``report`` is told of every block.
    """
    with no_garbage_collection():
        report("warm up", 0, settings.blocks)
        reference()  # its own first calls
        warmup_calls, settled = warm_up(call, settings, stopwatch)
        references, blocks = [reference()], list[list[float]]()
        while not _enough(references, settings):
            report("sample", _quiet(references, settings), settings.blocks)
            take(call, stopwatch, 1, LEAD_SECONDS)
            blocks.append(take(call, stopwatch, settings.block_samples, settings.block_seconds))
            references.append(reference())
    return _chosen(blocks, references, settings, warmup_calls, settled)


def drifts(references: Sequence[float]) -> list[float]:
    """For each block between two references, the larger fraction by which these are off their level."""
    level = quantile(references, 0.25)
    off = [abs(reference / level - 1) for reference in references]
    return [max(pair) for pair in itertools.pairwise(off)]


def _enough(references: Sequence[float], settings: TimerSettings) -> bool:
    """Whether all blocks are quiet that are needed, or too many were not."""
    taken, quiet = len(references) - 1, _quiet(references, settings)
    return taken >= settings.blocks and (quiet >= settings.blocks or taken - quiet > settings.retakes)


def _quiet(references: Sequence[float], settings: TimerSettings) -> int:
    return sum(drift <= settings.reference_tolerance for drift in drifts(references))


def _chosen(
    blocks: Sequence[list[float]],
    references: Sequence[float],
    settings: TimerSettings,
    warmup_calls: int,
    settled: bool,
) -> Samples:
    """Choose the quietest blocks, in the order they were taken."""
    off = drifts(references)
    chosen = sorted(sorted(range(len(blocks)), key=off.__getitem__)[: settings.blocks])
    beside = [references[place] for place in sorted({*chosen, *(index + 1 for index in chosen)})]
    drift = max(off[index] for index in chosen)
    return Samples(
        samples_ms=tuple(lap for index in chosen for lap in blocks[index]),
        warmup_calls=warmup_calls,
        warmup_settled=settled,
        reference_ms=quantile(beside, 0.5),
        drift=drift,
        steady=drift <= settings.reference_tolerance,
        retakes=len(blocks) - len(chosen),
    )
