"""When the trials are done: networks on and near the front are timed again, all in one way, in new processes."""

from collections.abc import Callable, Sequence

from segsearch.engine.watch import StudyProgress
from segsearch.errors import SegsearchError
from segsearch.measure.record import LatencyRecord
from segsearch.study.budget import Budget
from segsearch.study.gate import best_of
from segsearch.study.pareto import front, within_reach
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.timing import NetworkSubject, latency_of
from segsearch.trial import TrialSetup

MOST = 10
"""Networks near the front are timed again up to so many in all; those on it always."""
NEAR = 0.10
"""A network is near the front if it would be on it with so much less of its latency."""

Time = Callable[[TrialRecord], LatencyRecord]


def near_front(records: Sequence[TrialRecord], budget: Budget) -> list[TrialRecord]:
    """Return the networks on the front, fastest first, then those near it, the nearest first.

    Near is what lies behind the front by no more than `NEAR` of its latency, or by no more than one standard error of
    its mIoU: another measurement, or other validation images, might put it there. What no measurement could put there
    is left out; a study keeps no weights of it.
    """
    best = front(records, budget)
    numbers = {record.number for record in best}
    behind = [
        (how_far, record.number, record)
        for record in within_reach(records, budget)
        if record.meets(budget) and record.number not in numbers
        if (how_far := _behind(record, best)) <= 1
    ]
    return best + [record for *_, record in sorted(behind, key=lambda each: each[:2])][: max(0, MOST - len(best))]


def _behind(record: TrialRecord, best: Sequence[TrialRecord]) -> float:
    """How far a network lies behind the front, in latency or in mIoU, whichever is less; 1 is still near."""
    assert record.counted is not None
    quicker = min((other.latency_ms for other in best if other.miou >= record.miou), default=record.latency_ms)
    better = max((other.miou for other in best if other.latency_ms <= record.latency_ms), default=record.miou)
    error = record.counted.standard_error
    late = (1 - quicker / record.latency_ms) / NEAR
    return min(late, (better - record.miou) / error) if error else late


def confirm(
    records: Sequence[TrialRecord],
    budget: Budget,
    store: StudyFolder,
    progress: StudyProgress,
    time: Time,
    late: Callable[[], bool] = lambda: False,
) -> list[TrialRecord]:
    """Time the networks on and near the front again that have not been yet; return all records with the new figures.

    Each figure is on disk once it is there, so that whoever stops this loses none. An unsteady one is taken once more
    after all others. What cannot be timed keeps the latency of the search: a study does not fail by its last step.

    Args:
        records: all trials of the study.
        budget: of the study.
        store: where the figures go.
        progress: told of each network.
        time: times one network; raises KeyboardInterrupt to stop.
        late: whether there is no time for unsteady ones.
    """
    todo = [record for record in near_front(records, budget) if record.confirmed is None]
    if not todo:
        return list(records)
    progress.note(f"timing {len(todo)} networks on and near the front again, each in new processes")
    found: dict[int, list[LatencyRecord]] = {}
    for attempt in range(2):
        left = [r for r in todo if attempt == 0 or not any(seen.steady for seen in found.get(r.number, []))]
        for done, record in enumerate(left):
            if attempt and late():
                break
            progress.stage(record.number, f"time again: {record.name}", done, len(left))
            try:
                found.setdefault(record.number, []).append(time(record))
                store.confirm(record.number, best_of(found[record.number]))
            except SegsearchError as error:
                progress.note(f"{record.name} keeps the latency that it has: {error}")
            progress.stage_ended(record.number)
    return [
        record.model_copy(update={"confirmed": best_of(found[record.number])}) if found.get(record.number) else record
        for record in records
    ]


def timed_again(setup: TrialSetup, processes: int, stop: Callable[[], bool]) -> Time:
    """Return what times a network in new processes, under the conditions of a study; stopped between two of them.

    The median of their medians counts: processes differ by more than the samples of one.
    """

    def report(what: str, done: int, total: int) -> None:
        if stop():
            raise KeyboardInterrupt

    def time(record: TrialRecord) -> LatencyRecord:
        subject = NetworkSubject(
            spec=record.spec, classes=len(setup.splits.train.classes), size_hw=setup.size_hw, label=record.spec_id
        )
        try:
            return latency_of(subject, setup.under, processes=processes, worker=setup.worker, report=report)
        except SegsearchError:
            if stop():  # the signal that asks for it may have ended the new process, too
                raise KeyboardInterrupt from None
            raise

    return time
