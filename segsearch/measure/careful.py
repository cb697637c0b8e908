"""Careful sampling: short runs of calls between short references, until enough of them were beside quiet ones.

On shared hardware others come and go within tens of milliseconds and slow everything down by up to a half; whole blocks
are then never quiet, but short runs are. How buffers happen to lie in memory costs some percent, too, and stays with a
loaded network for life: every second the network is prepared anew, elsewhere. Of all quiet runs the quicker half is
kept. On a machine at rest all are quiet.

Clocks move, too, by some percent for minutes, and the reference with them. So what is timed is scaled by the reference
beside it: latencies are those of the machine at the reference's latency at rest.
`benchmarks/spread.py` sets the spread of both side by side.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from segsearch.measure.blocks import Block, joined
from segsearch.measure.stopwatch import Stopwatch, Work
from segsearch.measure.timer import Samples, TimerSettings, no_garbage_collection, quantile, take, warm_up
from segsearch.progress import Report, silent

RUN_SECONDS = 0.02
"""A run lasts at least so long, or one call; and as long as the reference beside it, with its pause."""
LEAD_MOST_MS = 40.0
"""Before a run, one call is not counted, as the reference has emptied caches; to slower networks that is nothing."""
PLACE_SECONDS = 0.6
"""So long a prepared network is timed before it is prepared anew."""
KEPT = 0.5
"""The share of quiet runs that is kept, the quickest; always as many, or one who finds few would find them slower."""
LEVEL = 0.05
"""The reference's level is this quantile of all its runs: most may be disturbed, and the least of many is chance."""

ReferenceRun = Callable[[], float]
"""Times a short run of the reference network; its latency in milliseconds."""

Again = Callable[[], Work]
"""Prepares the call once more, elsewhere in memory."""


def sample_carefully(
    call: Work,
    reference: ReferenceRun,
    *,
    settings: TimerSettings,
    stopwatch: Stopwatch,
    again: Again | None = None,
    known_ms: float | None = None,
    report: Report = silent,
) -> Samples:
    """Warm up, then take runs for ``spare_seconds``, and on until enough are quiet or ``most_seconds`` have passed.

    ``again`` gives the call anew. ``known_ms`` is the reference's latency on this machine when it stands still.
    Samples are scaled to that, or to the level of this measurement where that is lower or nothing is known.
    Where too few runs were quiet, the samples are of the quietest there are, and ``steady`` is False; so it is where
    most were disturbed, or the machine was slow all the while.
    """
    with no_garbage_collection():
        report("warm up", 0, 1)
        warmup_calls, settled = warm_up(call, settings, stopwatch)
        runs, start = Runs(settings, known_ms), stopwatch.now_seconds()
        while not runs.done(passed := stopwatch.now_seconds() - start):
            whole = settings.spare_seconds if passed < settings.spare_seconds else settings.most_seconds
            report("sample", int(passed), int(whole))
            if again is not None and passed > 0:
                call = again()
                take(call, stopwatch, settings.warmup_block_calls, settings.warmup_block_seconds)
            _at_one_place(call, reference, runs, stopwatch)
    return runs.chosen(warmup_calls, settled)


def _at_one_place(call: Work, reference: ReferenceRun, runs: "Runs", stopwatch: Stopwatch) -> None:
    """Take runs of one prepared call for a while; one at least."""
    start = stopwatch.now_seconds()
    before = reference()
    seconds = max(RUN_SECONDS, stopwatch.now_seconds() - start)
    while True:
        if runs.latency_ms < LEAD_MOST_MS:
            call()
        laps = take(call, stopwatch, 1, seconds)
        after = reference()
        runs.add(Block(laps=laps, before=before, after=after))
        before = after
        if stopwatch.now_seconds() - start >= PLACE_SECONDS:
            return


class Runs:
    """Runs in the order they were taken; one is quiet if the references on both its sides are at their level."""

    def __init__(self, settings: TimerSettings, known_ms: float | None = None) -> None:
        """Begin with none; ``known_ms`` is the reference's latency on this machine at rest."""
        self._settings, self._known_ms = settings, known_ms
        self._runs = list[Block]()

    @property
    def latency_ms(self) -> float:
        """Latency of the last run's first call; 0 before there is one."""
        return self._runs[-1].laps[0] if self._runs else 0.0

    @property
    def level_ms(self) -> float:
        """The reference's latency in the stillest moments of this measurement."""
        return quantile([run.after for run in self._runs], LEVEL)

    @property
    def rest_ms(self) -> float:
        """The reference's latency where the machine is at rest, as far as that is known."""
        return min(self.level_ms, self._known_ms or math.inf)

    def add(self, run: Block) -> None:
        """Keep one more run."""
        self._runs.append(run)

    def quiet(self) -> list[Block]:
        """List the runs beside which the machine stood still."""
        level = self.level_ms
        return [run for run in self._runs if run.drift(level) <= self._settings.reference_tolerance]

    def done(self, passed_seconds: float) -> bool:
        """Whether there are quiet runs enough to choose from, or all samples, and no time is left."""
        settings = self._settings
        if passed_seconds < settings.spare_seconds or not self._runs:
            return False
        if passed_seconds >= settings.most_seconds and self._suffice(self._runs):
            return True
        quiet = self.quiet()
        return self._suffice(quiet, times=1 / KEPT) and self._at_rest(quiet)

    def chosen(self, warmup_calls: int, warmup_settled: bool) -> Samples:
        """Choose the quicker half of the quiet runs, or the quietest there are; in the order they were taken."""
        quiet, level, rest = self.quiet(), self.level_ms, self.rest_ms
        enough = self._suffice(quiet)
        ranked = sorted(quiet, key=_ratio) if enough else sorted(self._runs, key=lambda run: run.drift(level))
        least = max(1, round(KEPT * len(quiet))) if enough else 1
        count = next(n for n in range(least, len(ranked) + 1) if n == len(ranked) or self._suffice(ranked[:n]))
        kept = {id(run) for run in ranked[:count]}
        best = [run for run in self._runs if id(run) in kept]
        timed = joined(best, level, self._settings, len(self._runs) - len(quiet), warmup_calls, warmup_settled)
        return replace(
            timed,
            samples_ms=tuple(lap * rest / run.reference_ms for run in best for lap in run.laps),
            slower=quantile([run.reference_ms for run in best], 0.5) / rest - 1,
            quiet_share=self._share(quiet),
            steady=timed.steady and self._at_rest(quiet),
        )

    def _at_rest(self, quiet: Sequence[Block]) -> bool:
        settings = self._settings
        slow = self.level_ms > (1 + settings.most_slower) * self.rest_ms
        return self._share(quiet) >= settings.least_quiet and not slow

    def _share(self, quiet: Sequence[Block]) -> float:
        return len(quiet) / len(self._runs)

    def _suffice(self, runs: Sequence[Block], times: float = 1) -> bool:
        """Whether they have so many times the samples and seconds that are asked for."""
        samples, milliseconds = sum(len(run.laps) for run in runs), sum(sum(run.laps) for run in runs)
        least = self._settings
        return samples >= times * least.min_samples and milliseconds >= 1000 * times * least.min_seconds


def _ratio(run: Block) -> float:
    return quantile(run.laps, 0.5) / run.reference_ms
