"""Samples in blocks between blocks of a reference network, which tells whether the machine stood still meanwhile.

R A R A ... R: a block A counts if the references on both its sides are at their level; else one more block is taken.
Where time is given for spare blocks, each is taken of a network prepared once more, and those with the highest medians
are put aside: how buffers happen to lie in memory stays with a prepared network for life, and costs some percent.
"""

import time
from collections.abc import Callable, Iterator

from segsearch.measure.blocks import Block, Blocks
from segsearch.measure.stopwatch import Stopwatch, Work
from segsearch.measure.timer import Samples, TimerSettings, no_garbage_collection, take, warm_up
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
        blocks = Blocks(reference(), settings, known_ms)
        deadline = time.monotonic() + patience_seconds

        def take_block(call: Work) -> None:
            before = blocks.last_ms
            while blocks.is_slow(before) and time.monotonic() < deadline:
                time.sleep(NAP_SECONDS)
                before = reference()
            take(call, stopwatch, 1, LEAD_SECONDS)
            laps = take(call, stopwatch, settings.block_samples, settings.block_seconds)
            blocks.add(Block(laps=laps, before=before, after=reference()))

        while not blocks.enough:
            report("sample", min(blocks.quiet, settings.blocks), settings.blocks)
            take_block(call)
        for spare in _spare_calls(call, again, blocks.last_seconds, settings, stopwatch, report):
            take_block(spare)
    return blocks.chosen(warmup_calls, settled)


def _spare_calls(
    call: Work,
    again: Again | None,
    block_seconds: float,
    settings: TimerSettings,
    stopwatch: Stopwatch,
    report: Report,
) -> Iterator[Work]:
    """Give a warm call for every spare block, as long as one that takes no longer than the last still fits in."""
    start, lasted = stopwatch.now_seconds(), block_seconds
    while (begun := stopwatch.now_seconds()) + lasted < start + settings.spare_seconds:
        report("spare", int(begun - start), int(settings.spare_seconds))
        if again is not None:
            call = again()
            take(call, stopwatch, settings.warmup_block_calls, settings.warmup_block_seconds)
        yield call
        lasted = stopwatch.now_seconds() - begun
