"""Which networks of a study can be exported, with which weights: trained in full where there are final figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segsearch.deployment.card import Retrained
from segsearch.deployment.markdown import percent
from segsearch.errors import InputError
from segsearch.run.folder import read_result, read_run
from segsearch.study.budget import Budget
from segsearch.study.final import FinalFile, Finalist, ranked, read_final, seed_folder
from segsearch.study.pick import Pick, Picked, candidates, pick
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study_files import RESULT, WEIGHTS

Choose = Callable[[Sequence[TrialRecord]], Picked]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Networks to export one of: records of the trainings that the weights are from."""

    records: tuple[TrialRecord, ...]
    weights: dict[int, Path]
    pick: Choose
    """Chooses one of those that are left."""
    gone: tuple[TrialRecord, ...] = ()
    """What would be picked before any of them, had it weights."""
    final: FinalFile | None = None
    """Where they are of full trainings."""

    def retrained(self, record: TrialRecord) -> Retrained | None:
        """Return the final figures of one network for its card; None where it is as the search trained it."""
        finalist = self.final.of(record.number) if self.final else None
        if self.final is None or finalist is None or finalist.miou is None:
            return None
        return Retrained(
            recipe=self.final.recipe_name,
            seeds=len(finalist.trainings),
            miou=finalist.miou,
            deviation=finalist.deviation,
            standard_error=finalist.standard_error,
            report_miou=finalist.report_miou,
        )

    def miou(self, record: TrialRecord) -> float:
        """Return what a network is chosen by: the mean over the seeds, or else the mIoU of the search."""
        final = self.retrained(record)
        return record.miou if final is None else final.miou

    def told(self, record: TrialRecord) -> str:
        """Say where the weights of a record are from."""
        final = self.retrained(record)
        if final is None:
            return record.weights
        count = "1 seed reaches" if final.seeds == 1 else f"{final.seeds} seeds reach"
        spread = "" if final.deviation is None else f", standard deviation {100 * final.deviation:.1f} points"
        first = f", the encoder from `{record.pretrained}`" if record.pretrained else ""
        return (
            f"trained in full by {final.recipe}{first}; {count} a mean mIoU of"
            f" {percent(final.miou)}{spread}, and these are of the seed nearest the mean"
        )


def open_pool(store: StudyFolder, budget: Budget, how: Pick, point: str | None) -> Pool:
    """Gather what can be exported of a study.

    Where the study has final figures with a winner, it is the networks with these; a network that is asked for and was
    not trained in full is as the search trained it.

    Raises:
        BudgetError: no network has been trained. InputError: the one asked for is not among the trained, or its weights
            are deleted.
    """
    records, final = store.records(), read_final(store.path)
    choose: Choose = partial(pick, how=how, budget=budget)
    if final is not None and (final.winner is not None or point is not None):
        wanted = records if point is None else candidates(records, budget, point)
        found, lost = _finals(store, final, wanted, budget)
        if found:
            chosen = partial(_final_pick, final) if how == "miou" else choose
            kept = tuple(record for record, _ in found)
            return Pool(
                records=kept,
                weights={record.number: weights for record, weights in found},
                pick=chosen,
                gone=_before(kept, lost, chosen),
                final=final,
            )
    wanted = candidates(records, budget, point)
    kept = tuple(_with_weights(store, wanted))
    return Pool(
        records=kept,
        weights={record.number: store.trial(record.number) / WEIGHTS for record in kept},
        pick=choose,
        gone=_before(kept, [record for record in wanted if record not in kept], choose),
    )


def _before(kept: Sequence[TrialRecord], lost: Sequence[TrialRecord], choose: Choose) -> tuple[TrialRecord, ...]:
    """Return which of those that lost their weights would be picked before all that kept them, the best first."""
    left, found = [*kept, *lost], list[TrialRecord]()
    while (first := choose(left).record) not in kept:
        found.append(first)
        left.remove(first)
    return tuple(found)


def _finals(
    store: StudyFolder, final: FinalFile, records: Sequence[TrialRecord], budget: Budget
) -> tuple[list[tuple[TrialRecord, Path]], list[TrialRecord]]:
    """Return the networks with all seeds that keep the budget, by their final latency; where none does, all of them.

    Second are those whose weights are gone.
    """
    settled = [r for r in records if r.trained and (f := final.of(r.number)) is not None and f.settled(final.seeds)]
    found = [_retrained(store, final, record) for record in settled]
    inside = [pair for pair in found if pair[0].meets(budget)] or found
    lost = [record for record, weights in inside if not weights.exists()]
    return [(record, weights) for record, weights in inside if weights.exists()], lost


def _retrained(store: StudyFolder, file: FinalFile, record: TrialRecord) -> tuple[TrialRecord, Path]:
    """Return a settled record with the figures of the final training nearest the mean, and where its weights lie.

    Raises:
        InputError: a file of the training is damaged.
    """
    finalist = file.of(record.number)
    assert finalist is not None and finalist.middle is not None, "settled"
    folder = seed_folder(store.path, record.number, finalist.middle.seed)
    result = read_result(folder)
    if result is None:  # its whole folder is gone: the record is as the search has it, and so are no weights
        return record, folder / WEIGHTS
    run = read_run(folder)
    changes = {
        "scores": result.scores,
        "shipped_scores": result.shipped_scores,
        "report_scores": result.report_scores,
        "recipe": run.recipe,
        "recipe_id": run.recipe.id,
        "seed": run.seed,
        "pretrained": result.pretrained,
        "confirmed": finalist.latency or record.confirmed,
    }
    return record.model_copy(update=changes), folder / WEIGHTS


def _final_pick(final: FinalFile, left: Sequence[TrialRecord]) -> Picked:
    """Pick the fastest of those that cannot be told from the best mean mIoU, see `segsearch.study.final.ranked`."""
    records = {record.number: record for record in left}
    first: list[Finalist] = ranked([f for f in final.finalists if f.trial in records])[0]
    best = max(first, key=lambda finalist: (finalist.miou or 0, -finalist.latency_ms))
    return Picked(record=records[first[0].trial], best=None if best is first[0] else records[best.trial])


def _with_weights(store: StudyFolder, pool: list[TrialRecord]) -> list[TrialRecord]:
    """Leave out networks that were beaten, whose weights are deleted. Raises InputError where none is left."""
    found = store.exportable(pool)
    if not found:
        folder = store.trial(pool[0].number)
        raise InputError(
            folder / WEIGHTS,
            "is not there: by default a study keeps the weights of the networks on and near its front",
            f"keep: all in the study's file; to train this one again, delete {folder / RESULT} and search on",
        )
    return found
