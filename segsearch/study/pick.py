"""Which trained network of a study somebody gets: those that may be taken, and three ways to pick one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from segsearch.errors import BudgetError, InputError
from segsearch.study.budget import Budget
from segsearch.study.pareto import knee, nearest
from segsearch.study.record import TrialRecord
from segsearch.study_files import find_trial

Pick = Literal["miou", "knee", "fastest"]
PICKS: tuple[Pick, ...] = get_args(Pick)


@dataclass(frozen=True, kw_only=True)
class Picked:
    """A network that was picked."""

    record: TrialRecord
    best: TrialRecord | None = None
    """The network of the best mIoU, where a faster one within one standard error was picked in its place."""


def check_pick(word: str) -> Pick:
    """Return the way to pick that a word names. Raises InputError if it names none."""
    for known in PICKS:
        if word == known:
            return known
    raise InputError("--pick", f"'{word}' is not known", PICKS)


def candidates(records: Sequence[TrialRecord], budget: Budget, point: str | None = None) -> list[TrialRecord]:
    """Return the trained networks that keep the budget; if none does, the fastest one alone.

    ``point``, a trial's number, its network's name or id, asks for that one, whatever its latency.

    Raises:
        BudgetError: none has been trained. InputError: the one asked for is not among the trained.
    """
    trained = [record for record in records if record.trained]
    if point is not None:
        found = find_trial(trained, point)
        if found is None:
            raise InputError(
                "point", f"'{point}' is not among the trained networks", [r.name for r in trained] or "none"
            )
        return [found]
    if not trained:
        raise BudgetError("no network has been trained yet; " + nearest(records))
    return [r for r in trained if r.meets(budget)] or [min(trained, key=_faster)]


def pick(records: Sequence[TrialRecord], how: Pick, budget: Budget | None = None) -> Picked:
    """Pick one of trained networks, at least one.

    ``miou`` takes the fastest of those whose mIoU is within one standard error of the best mIoU (the one-standard-error
    rule of Breiman et al. 1984: so small a lead may be due to the choice of the validation images); ``knee`` takes
    `segsearch.study.pareto.knee` by the objectives of the budget, ``fastest`` the lowest latency.
    """
    if how == "knee":
        return Picked(record=knee(records, budget))
    if how == "fastest":
        return Picked(record=min(records, key=_faster))
    best = max(records, key=lambda r: (r.miou, -r.latency_ms, -r.number))
    assert best.counted is not None
    least = best.miou - (best.counted.standard_error or 0.0)
    taken = min((r for r in records if r.miou >= least), key=_faster)
    return Picked(record=taken, best=best if taken.latency_ms < best.latency_ms else None)


def _faster(record: TrialRecord) -> tuple[float, float, int]:
    return record.latency_ms, -record.miou, record.number
