"""What was sampled between blocks of the reference network, and which of it counts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segsearch.measure.timer import Samples, TimerSettings, quantile


@dataclass(frozen=True, kw_only=True)
class Block:
    """Latencies of one network, and those of the reference right before and right after, all in milliseconds."""

    laps: Sequence[float]
    before: float
    after: float

    @property
    def reference_ms(self) -> float:
        """The reference's latency beside it."""
        return (self.before + self.after) / 2

    def drift(self, level: float) -> float:
        """Larger fraction by which the references are off ``level``."""
        return max(abs(self.before / level - 1), abs(self.after / level - 1))


class Blocks:
    """Blocks in the order they were taken.

    The level is the lower quartile of all references of this measurement, or what is known of this machine if that is
    lower: load and heat only make them slower. A block is quiet if the references on both its sides are at their level.
    """

    def __init__(self, reference_ms: float, settings: TimerSettings, known_ms: float | None = None) -> None:
        """Begin with the reference before the first block; ``known_ms`` is its latency on this machine at rest."""
        self._settings, self._known_ms = settings, known_ms
        self._references, self._blocks = [reference_ms], list[Block]()

    @property
    def last_ms(self) -> float:
        """The reference's latest latency."""
        return self._references[-1]

    @property
    def level_ms(self) -> float:
        """The reference's latency where the machine stands still."""
        return min(quantile(self._references, 0.25), self._known_ms or math.inf)

    @property
    def quiet(self) -> int:
        """How many blocks count."""
        return sum(self.is_quiet(block) for block in self._blocks)

    @property
    def enough(self) -> bool:
        """Whether all blocks are quiet that are needed, or too many were not."""
        taken, quiet, wanted = len(self._blocks), self.quiet, self._settings.blocks
        return taken >= wanted and (quiet >= wanted or taken - quiet > self._settings.retakes)

    def add(self, block: Block) -> None:
        """Keep one more block."""
        self._blocks.append(block)
        self._references.append(block.after)

    def is_slow(self, reference_ms: float) -> bool:
        """Whether the reference takes longer than it should, so that it is better to wait."""
        return reference_ms / self.level_ms - 1 > self._settings.reference_tolerance

    def is_quiet(self, block: Block) -> bool:
        """Whether the machine stood still around it."""
        return block.drift(self.level_ms) <= self._settings.reference_tolerance

    def drifts(self) -> list[float]:
        """Fraction by which each block's references are off the level, the worse of the two."""
        return [block.drift(self.level_ms) for block in self._blocks]

    def chosen(self, warmup_calls: int, warmup_settled: bool) -> Samples:
        """Choose the quickest of the quiet blocks, or the quietest there are; in the order they were taken."""
        wanted, drifts = self._settings.blocks, self.drifts()
        pool = [index for index, block in enumerate(self._blocks) if self.is_quiet(block)]
        if len(pool) < wanted:
            pool = sorted(range(len(drifts)), key=drifts.__getitem__)[:wanted]
        ranked = sorted(pool, key=lambda index: quantile(self._blocks[index].laps, 0.5))
        best = [self._blocks[index] for index in sorted(ranked[:wanted])]
        retakes = len(self._blocks) - max(self.quiet, wanted)
        return joined(best, self.level_ms, self._settings, retakes, warmup_calls, warmup_settled)


def joined(
    best: Sequence[Block],
    level_ms: float,
    settings: TimerSettings,
    retakes: int,
    warmup_calls: int,
    warmup_settled: bool,
) -> Samples:
    """Put the samples of chosen blocks together; they are steady if the references beside all of them are."""
    drift = max(block.drift(level_ms) for block in best)
    return Samples(
        samples_ms=tuple(lap for block in best for lap in block.laps),
        warmup_calls=warmup_calls,
        warmup_settled=warmup_settled,
        reference_ms=quantile([side for block in best for side in (block.before, block.after)], 0.5),
        level_ms=level_ms,
        drift=drift,
        steady=drift <= settings.reference_tolerance,
        retakes=retakes,
    )
