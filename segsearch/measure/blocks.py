"""What was sampled between blocks of the reference network, and which of it counts."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from segsearch.measure.timer import Samples, TimerSettings, quantile

RUN = 5
"""Calls of one run: their median passes over one or two that an interrupt falls into."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Latencies of one network, and those of the reference right before and right after, all in milliseconds."""

    laps: Sequence[float]
    before: float
    after: float

    def drift(self, level: float) -> float:
        """Larger fraction by which the references are off ``level``."""
        return max(abs(self.before / level - 1), abs(self.after / level - 1))

    def runs(self, calls: int) -> "list[Block]":
        """Cut into runs of so many calls; the last one has the rest too."""
        count = max(1, len(self.laps) // calls)
        ends = [*(calls * number for number in range(1, count)), len(self.laps)]
        return [replace(self, laps=self.laps[start:end]) for start, end in itertools.pairwise([0, *ends])]


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
    def last_seconds(self) -> float:
        """Time in the calls of the last block."""
        return sum(self._blocks[-1].laps) / 1e3

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
        """Choose the quickest of what is quiet, or the quietest there is, in the order it was taken.

        Whole blocks, as many as asked for; where there was time for spare ones, runs of a few calls, until there are
        samples and seconds enough: others disturb a network for a tenth of a second too.
        """
        pieces = self._pieces()
        pool = [index for index, piece in enumerate(pieces) if self.is_quiet(piece)]
        if self.quiet < self._settings.blocks:
            off = [piece.drift(self.level_ms) for piece in pieces]
            pool = self._first(sorted(range(len(pieces)), key=off.__getitem__), pieces)
        ranked = sorted(pool, key=lambda index: quantile(pieces[index].laps, 0.5))
        best = [pieces[index] for index in sorted(self._first(ranked, pieces))]
        drift = max(piece.drift(self.level_ms) for piece in best)
        return Samples(
            samples_ms=tuple(lap for piece in best for lap in piece.laps),
            warmup_calls=warmup_calls,
            warmup_settled=warmup_settled,
            reference_ms=quantile([side for piece in best for side in (piece.before, piece.after)], 0.5),
            drift=drift,
            steady=drift <= self._settings.reference_tolerance,
            retakes=len(self._blocks) - max(self.quiet, self._settings.blocks),
        )

    def _pieces(self) -> list[Block]:
        if not self._settings.spare_seconds:
            return self._blocks
        return [piece for block in self._blocks for piece in block.runs(RUN)]

    def _first(self, ranked: Sequence[int], pieces: Sequence[Block]) -> list[int]:
        """Take from the front until there are enough samples, or blocks."""
        if not self._settings.spare_seconds:
            return list(ranked[: self._settings.blocks])
        taken, samples, milliseconds = list[int](), 0, 0.0
        for index in ranked:
            if samples >= self._settings.min_samples and milliseconds >= 1000 * self._settings.min_seconds:
                break
            taken.append(index)
            samples += len(pieces[index].laps)
            milliseconds += sum(pieces[index].laps)
        return taken
