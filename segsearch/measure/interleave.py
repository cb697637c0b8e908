"""Samples in blocks between blocks of a reference network, which tells whether the machine stood still meanwhile.

R A R A ... R: a block A counts if the references on both its sides are at their level; else one more block is taken.
"""

import time
from collections.abc import Callable

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


def sample_steadily(
    call: Work,
    reference: ReferenceBlock,
    *,
    settings: TimerSettings,
    stopwatch: Stopwatch,
    known_ms: float | None = None,
    patience_seconds: float = 0.0,
    report: Report = silent,
) -> Samples:
    """Warm up, then take blocks until enough of them lie between references at their level.

    ``known_ms`` is the reference's latency on this machine when it stands still. While the reference takes longer, up
    to ``patience_seconds`` pass before the next block.

    Where that does not happen within ``settings.retakes`` more blocks, the samples are of the quietest blocks there
    are, and ``steady`` is False. ``report`` is told of every block.
    """
    with no_garbage_collection():
        report("warm up", 0, settings.blocks)
        reference()  # its own first calls
        warmup_calls, settled = warm_up(call, settings, stopwatch)
        blocks = Blocks(reference(), settings, known_ms)
        deadline = time.monotonic() + patience_seconds

        while not blocks.enough:
            report("sample", min(blocks.quiet, settings.blocks), settings.blocks)
            before = blocks.last_ms
            while blocks.is_slow(before) and time.monotonic() < deadline:
                time.sleep(NAP_SECONDS)
                before = reference()
            take(call, stopwatch, 1, LEAD_SECONDS)
            laps = take(call, stopwatch, settings.block_samples, settings.block_seconds)
            blocks.add(Block(laps=laps, before=before, after=reference()))
    return blocks.chosen(warmup_calls, settled)
