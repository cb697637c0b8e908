"""Which paused trainings go on: successive halving for several objectives, asynchronously.

Of the networks that were scored at a rung a share goes on, whenever one of them is good enough: nobody waits for a rung
to fill. Good is a low rank in the non-dominated order of the score at the rung and the costs among the objectives,
which are exact already (MO-ASHA, Schmucker et al. 2021); within a rank, what lies far from those chosen before.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from segsearch.result import TrialResult
from segsearch.study.budget import Budget
from segsearch.study.pareto import Losses, losses, scaled, undominated
from segsearch.study.record import TrialRecord

PROMOTED, SHY = 1 / 3, 1 / 2
"""Share of the networks at a rung that go on; the latter where the order at the rung says little of the next one."""
LOW_TAU, LEAST_PAIRS = 0.5, 6
"""Little is a Kendall's tau below this, of at least so many networks scored at both."""
BEATEN, LEAST_BEATEN = 1 / 3, 6
"""Share of the networks at a rung, the last in order, that will never go on; of at least so many."""
MOST_PAUSED = 16
"""Paused trainings that are kept at one rung, as each has a checkpoint."""

Merit = Callable[[int], float]
"""What a model expects of the trial of a number; more is better. Decides within a rank."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A network that was scored at a rung."""

    number: int
    miou: float
    """At the rung, which says nothing of the end."""
    losses: Losses
    """What it is compared by, see `segsearch.study.pareto.losses`."""
    chosen: bool = False
    """A person asked for it: it goes on in any case."""


class Scores:
    """The networks that were scored at each rung, whatever became of them: ``at[rung][number]``, None for the end."""

    def __init__(self, budget: Budget | None = None) -> None:
        self._budget = budget or Budget()
        self.at: defaultdict[int | None, dict[int, Scored]] = defaultdict(dict)

    @classmethod
    def of(cls, records: Iterable[TrialRecord], budget: Budget | None = None) -> "Scores":
        """Gather the scores of records, to be compared by a budget's objectives."""
        scores = cls(budget)
        for record in records:
            scores.add(record.number, record, record.chosen)
        return scores

    def add(self, number: int, result: TrialResult, chosen: bool) -> None:
        """Add all scores of a trial; those that are known stay as they are."""
        if result.latency is None:
            return
        final = [(None, result.counted.miou)] if result.state == "complete" and result.counted else []
        for rung, miou in (*((rung.epochs, rung.miou) for rung in result.rungs if rung.epochs), *final):
            found = losses(miou, result.costs, self._budget)
            self.at[rung][number] = Scored(number=number, miou=miou, losses=found, chosen=chosen)

    def of_rung(self, rung: int) -> list[Scored]:
        """Return what was scored at a rung."""
        return list(self.at[rung].values())


def fronts(scored: Iterable[Scored]) -> list[list[Scored]]:
    """Sort into ranks: what no other beats in all objectives, then what only those beat, and so on.

    Of equals, the first by number belongs to the better rank.
    """
    left, found = sorted(scored, key=lambda s: s.number), list[list[Scored]]()
    while left:
        rank, left = undominated(left, lambda s: s.losses)
        found.append(rank)
    return found


def in_order(scored: Iterable[Scored], merit: Merit | None = None) -> list[Scored]:
    """Return the best first."""
    return [each for rank in fronts(scored) for each in _within(rank, merit)]


def _within(rank: Sequence[Scored], merit: Merit | None) -> list[Scored]:
    """Order one rank by merit, or else from the highest mIoU on so that the first few are spread over it."""
    if merit is not None:
        return sorted(rank, key=lambda s: (-merit(s.number), s.number))
    places = dict(zip((s.number for s in rank), scaled([s.losses for s in rank]), strict=True))

    def apart(one: Scored, other: Scored) -> float:
        return math.dist(places[one.number], places[other.number])

    best = max(rank, key=lambda s: (s.miou, -s.number))
    chosen, nearest = [best], {s.number: (apart(s, best), s) for s in rank if s is not best}
    while nearest:
        number = max(nearest, key=lambda n: (nearest[n][0], -n))
        chosen.append(nearest.pop(number)[1])
        nearest = {n: (min(far, apart(s, chosen[-1])), s) for n, (far, s) in nearest.items()}
    return chosen


def promoted(
    scored: Sequence[Scored], paused: Collection[int], went_on: int, share: float, merit: Merit | None = None
) -> int | None:
    """Return the number of the paused trial at a rung that goes on now; None where none does.

    It is among the share of the best there. As their order changes with every network that comes, more than the share
    would go on by and by: where as many ``went_on`` already, none does.
    """
    allowed = int(share * len(scored) + 1e-9)
    best = in_order(scored, merit)[:allowed] if went_on < allowed else []
    return next((each.number for each in best if each.number in paused), None)


def goes_on(scored: Sequence[Scored], number: int, share: float) -> bool:
    """Whether a training that cannot pause goes on at a rung where it was just scored.

    It does if it is now among the share of the best there, rounded up: those that were stopped before do not come back.
    """
    best = in_order(scored)[: math.ceil(share * len(scored) - 1e-9)]
    return any(each.number == number for each in best)


def beaten(scored: Sequence[Scored], paused: Collection[int], merit: Merit | None = None) -> list[int]:
    """Return the numbers of those paused at a rung that need not be kept: the last in order, and what is too many."""
    order = [each.number for each in in_order(scored, merit)]
    kept = len(order) - int(BEATEN * len(order)) if len(order) >= LEAST_BEATEN else len(order)
    waiting = [number for number in order if number in paused]
    return [number for place, number in enumerate(waiting) if number in order[kept:] or place >= MOST_PAUSED]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far the order of networks at one rung is their order at the next."""

    rung: int
    """In epochs."""
    following: int | None
    """The next rung in epochs; None is the end."""
    pairs: int
    """Networks that were scored at both."""
    tau: float | None
    """Kendall's tau-b; None where nothing can be said."""

    @property
    def low(self) -> bool:
        """Whether the rung says too little to halve by it."""
        return self.pairs >= LEAST_PAIRS and self.tau is not None and self.tau < LOW_TAU

    @property
    def share(self) -> float:
        """Of the networks at the rung that go on."""
        return SHY if self.low else PROMOTED

    def __str__(self) -> str:
        """Write for people: ``epoch 2 -> epoch 6: tau 0.61 of 9 networks``."""
        tau = "unknown" if self.tau is None else f"{self.tau:.2f}"
        end = "the end" if self.following is None else f"epoch {self.following}"
        return f"epoch {self.rung} -> {end}: tau {tau} of {self.pairs} networks" + (", low" if self.low else "")


def agreements(scores: Scores, rungs: Sequence[int]) -> list[Agreement]:
    """Compare each rung with the next one, and the last with the end."""
    found = list[Agreement]()
    for rung, following in pairwise((*rungs, None)):
        assert rung is not None, "only the end is none"
        here, there = scores.at[rung], scores.at[following]
        pairs = [(here[number].miou, there[number].miou) for number in here.keys() & there.keys()]
        found.append(Agreement(rung=rung, following=following, pairs=len(pairs), tau=kendall(pairs)))
    return found


def kendall(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Kendall's tau-b, -1..1; None of fewer than two pairs, and where all values of one side are equal.

    Source: Kendall, The treatment of ties in ranking problems, Biometrika 1945.
    """
    one, other = (np.sign(np.subtract.outer(side, side)) for side in np.array(pairs, float).reshape(-1, 2).T)
    decided = float(np.sum(one**2) * np.sum(other**2))  # each pair twice, above and below
    return float(np.sum(one * other)) / math.sqrt(decided) if decided else None
