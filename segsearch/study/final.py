"""Final figures of a study: which networks of its front are trained again in full, and which of them wins.

``final.json`` has the figures; ``final/TRIAL/seed_N`` is the run of each training, see `segsearch.run.folder`.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from pydantic import Field

from segsearch.errors import InputError
from segsearch.frozen import Frozen
from segsearch.measure.record import LatencyRecord
from segsearch.study.budget import Budget
from segsearch.study.pareto import front, knee, losses_of, scaled
from segsearch.study.pick import candidates
from segsearch.study.promotion import kendall
from segsearch.study.record import TrialRecord
from segsearch.study_files import read_json
from segsearch.training.recipe import Recipe

FINAL, FOLDER = "final.json", "final"


class Trained(Frozen):
    """One training of a finalist: ``final/TRIAL/seed_N``."""

    seed: int = Field(ge=0)
    """N of its folder; the seed that it trains by is in its ``run.json``."""
    miou: float | None = None
    """On the validation images, 0..1; None where the training diverged."""
    standard_error: float | None = None
    """Of that mIoU, over images."""
    report_miou: float | None = None
    """On the images that no search sees, where the data has such."""
    seconds: float = 0.0
    failure: str | None = None


class Finalist(Frozen):
    """One network of the front with its figures of search and of full trainings."""

    trial: int
    name: str
    spec_id: str
    search_miou: float
    search_latency_ms: float
    latency: LatencyRecord | None = None
    """Measured in new processes after the trainings; None before, and where it could not be."""
    untimed: str | None = None
    """Why it could not be measured at the last try; the next start tries again."""
    trainings: tuple[Trained, ...] = ()
    miou: float | None = None
    """Mean over the seeds."""
    deviation: float | None = None
    """Sample standard deviation over the seeds; None for a single one."""
    standard_error: float | None = None
    """Of the mean: over the seeds, or, for a single one, over the images."""

    @classmethod
    def of(
        cls,
        record: TrialRecord,
        latency: LatencyRecord | None,
        trainings: Sequence[Trained],
        *,
        untimed: str | None = None,
    ) -> Self:
        """Gather a network's figures."""
        scores = [trained.miou for trained in trainings if trained.miou is not None]
        deviation = statistics.stdev(scores) if len(scores) > 1 else None
        alone = next((t.standard_error for t in trainings if t.miou is not None), None)
        return cls(
            trial=record.number,
            name=record.name,
            spec_id=record.spec_id,
            search_miou=record.miou,
            search_latency_ms=record.latency_ms,
            latency=latency,
            untimed=untimed,
            trainings=tuple(trainings),
            miou=statistics.fmean(scores) if scores else None,
            deviation=deviation,
            standard_error=alone if deviation is None else deviation / math.sqrt(len(scores)),
        )

    @property
    def timing_done(self) -> bool:
        """Whether its latency was measured, or tried in vain, so that the one of the search counts."""
        return self.latency is not None or self.untimed is not None

    @property
    def latency_ms(self) -> float:
        """Median in milliseconds: timed after the trainings, or else by the search."""
        return self.search_latency_ms if self.latency is None else self.latency.median_ms

    @property
    def report_miou(self) -> float | None:
        """Mean over the seeds on images that no search sees; None where the data has none."""
        found = [trained.report_miou for trained in self.trainings if trained.report_miou is not None]
        return statistics.fmean(found) if found else None

    @property
    def middle(self) -> Trained | None:
        """The training whose mIoU is nearest the mean, the earlier of equals: its weights stand for the network."""
        done = [trained for trained in self.trainings if trained.miou is not None]
        return min(done, key=lambda t: (abs((t.miou or 0) - (self.miou or 0)), t.seed), default=None)

    def settled(self, seeds: int) -> bool:
        """Whether at least so many seeds were trained, and none diverged."""
        return len(self.trainings) >= seeds and all(trained.miou is not None for trained in self.trainings)

    def ties(self, other: "Finalist") -> bool:
        """Whether the intervals, mean plus and minus one standard error, overlap."""
        assert self.miou is not None and other.miou is not None
        return abs(self.miou - other.miou) <= (self.standard_error or 0) + (other.standard_error or 0)


class FinalFile(Frozen):
    """All final figures of a study: ``final.json``; complete once it names a winner."""

    recipe_name: str
    recipe: Recipe
    study_seed: int
    """The study's when its first final training began; all seeds follow from it."""
    seeds: int = Field(ge=1)
    top: int = Field(ge=1)
    split: str | None = None
    """Of the data that is learnt and scored, such as ``official``; None where it is the search's own."""
    finalists: tuple[Finalist, ...] = ()
    """In the order in which they were chosen."""
    winner: int | None = None
    """Its trial; None as long as a training or a latency is missing."""
    tied: tuple[int, ...] = ()
    """Trials whose mIoU cannot be told from the best one's; the winner is the fastest of these."""

    @property
    def scored(self) -> tuple[Finalist, ...]:
        """Those with a mean."""
        return tuple(finalist for finalist in self.finalists if finalist.miou is not None)

    @property
    def tau(self) -> float | None:
        """Kendall's tau-b between the mIoU of the search and the final means; None where nothing can be said."""
        return kendall([(finalist.search_miou, finalist.miou or 0.0) for finalist in self.scored])

    def of(self, trial: int) -> Finalist | None:
        """Return the finalist of a trial; None where it is none."""
        return next((finalist for finalist in self.finalists if finalist.trial == trial), None)


def read_final(folder: Path) -> FinalFile | None:
    """Read the final figures of a study; None where none were begun. Raises InputError where the file is damaged."""
    path = folder / FINAL
    return FinalFile.parse(read_json(path), path) if path.exists() else None


def seed_folder(folder: Path, trial: int, seed: int) -> Path:
    """Folder of one training."""
    return folder / FOLDER / f"{trial:04d}" / f"seed_{seed}"


def spread(records: Sequence[TrialRecord], budget: Budget, top: int | None) -> list[TrialRecord]:
    """Choose networks of the front within the budget, or the fastest network of all where none keeps it.

    In this order: the best mIoU, the knee, the fastest, and then always the one that lies farthest from those chosen
    so far, all objectives (latency and mIoU, or the study's own) scaled to 0..1 along the front. So a larger ``top``
    only adds networks.

    Args:
        records: all trials of the study.
        budget: of the study.
        top: how many; default: five, or as many as there are.

    Raises:
        BudgetError: no network has been trained. InputError: the front has fewer than ``top``.
    """
    aims = budget.aims
    best = front(candidates(records, budget), aims)
    if top is not None and top > len(best):
        networks = "1 network" if len(best) == 1 else f"{len(best)} networks"
        raise InputError("--top", f"{top} are asked for, and the front has {networks}", f"1 to {len(best)}")
    left, chosen = list(best), list[TrialRecord]()
    numbers, places = (r.number for r in best), scaled([losses_of(r, aims) for r in best])
    at = dict(zip(numbers, places, strict=True))

    def away(record: TrialRecord) -> float:
        return min(math.dist(at[record.number], at[other.number]) for other in chosen)

    firsts = iter((max(best, key=lambda r: r.miou), knee(best, aims), best[0]))
    while left and len(chosen) < (top or 5):
        record = next((r for r in firsts if r in left), None) or max(left, key=lambda r: (away(r), -r.number))
        chosen.append(record)
        left.remove(record)
    return chosen


def ranked(
    finalists: Sequence[Finalist], meets: Callable[[Finalist], bool] = lambda finalist: True
) -> list[list[Finalist]]:
    """Sort finalists with a mean into groups, the best first; in each one the fastest first, which wins it.

    A group is the best mean and all whose intervals overlap with its own (`Finalist.ties`). Those that miss the budget
    come after all others.
    """
    groups: list[list[Finalist]] = []
    for inside in (True, False):
        left = [each for each in finalists if each.miou is not None and meets(each) is inside]
        while left:
            best = max(left, key=lambda f: (f.miou or 0, -f.latency_ms, -f.trial))
            groups.append(sorted((f for f in left if f.ties(best)), key=lambda f: (f.latency_ms, f.trial)))
            left = [each for each in left if not each.ties(best)]
    return groups


def concluded(file: FinalFile, budget: Budget) -> FinalFile:
    """Name the winner and those that it ties with, of the networks with all seeds; none while figures are missing."""
    begun = [
        finalist for finalist in file.finalists if len(finalist.trainings) < file.seeds or not finalist.timing_done
    ]
    settled = [finalist for finalist in file.finalists if finalist.settled(file.seeds)]
    if begun or not settled:
        return file.model_copy(update={"winner": None, "tied": ()})
    first = ranked(settled, lambda finalist: keeps(finalist, budget))[0]
    tied = tuple(finalist.trial for finalist in first) if len(first) > 1 else ()
    return file.model_copy(update={"winner": first[0].trial, "tied": tied})


def keeps(finalist: Finalist, budget: Budget) -> bool:
    """Whether the final latency is within the budget."""
    return budget.limit_ms is None or finalist.latency_ms <= budget.limit_ms
