"""Where each trial of a study stands: proposed, measured, paused, or finished with a record."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from segsearch.result import TrialResult
from segsearch.study.budget import Budget
from segsearch.study.gate import due_after, gate, least_reference_ms
from segsearch.study.promotion import Scores
from segsearch.study.record import Proposal, TrialRecord


@dataclass(kw_only=True)
class Begun:
    """A trial that has no record yet."""

    proposal: Proposal
    state: Literal["proposed", "passed", "waiting", "paused"] = "proposed"
    """``proposed``: to be measured. ``waiting``: to be measured again. ``passed``: to be trained. ``paused``: trained
    up to a rung."""
    result: TrialResult | None = None
    """Of the stages that it has behind it."""
    started_at: str | None = None
    """When this run of the study took it up; None before that."""
    under_way: bool = False
    """A stage of it was submitted, and its result is not written yet."""
    rejected: TrialRecord | None = None
    """Its record by an earlier budget, or of a machine that seemed slower; it may meet the budget after all."""
    stopped: TrialRecord | None = None
    """Its record of an earlier run, while it is counted as paused and has not gone on."""
    due: int = 0
    """While it waits: it is measured again once so many trials are finished."""

    @property
    def record(self) -> TrialRecord | None:
        """What it was before this run took it up; None of a trial that never ended."""
        return self.rejected or self.stopped

    @property
    def reached(self) -> int:
        """The highest rung that it was scored at, in epochs; 0 before the first."""
        return self.result.reached if self.result else 0

    @property
    def counts(self) -> bool:
        """Whether it is one of the wanted trials: what an earlier run left is not, until it is taken up."""
        return self.started_at is not None or self.state == "paused"

    def hold(self, result: TrialResult, *, finished: int) -> None:
        """Take the result of a stage after which there is another; ``finished`` trials there are by now."""
        assert result.state in ("passed", "waiting", "paused"), result.state
        self.state, self.result, self.under_way = result.state, result, False
        if result.state == "waiting":
            assert result.measurements is not None
            self.due = due_after(result.measurements, finished)


class Trials:
    """All trials of a study: ``records`` of those that are finished, ``begun`` those that are not, by number."""

    def __init__(self, records: Iterable[TrialRecord], begun: Iterable[Begun], budget: Budget | None = None) -> None:
        self.records = {record.number: record for record in records}
        self.begun = {trial.proposal.number: trial for trial in begun}
        self.failures = 0
        """In a row, the last ones."""
        self.scores = Scores.of(self.records.values(), budget)
        for trial in self.begun.values():
            if trial.result is not None:
                self.scores.add(trial.proposal.number, trial.result, trial.proposal.chosen)

    @property
    def next_number(self) -> int:
        """Of the next proposal."""
        return 1 + max((*self.records, *self.begun), default=0)

    @property
    def all(self) -> list[TrialRecord]:
        """Records by number; of a trial that runs again the one that it had, until there is another."""
        before = {number: trial.record for number, trial in self.begun.items() if trial.record is not None}
        return [record for _, record in sorted((before | self.records).items())]

    @property
    def in_order(self) -> list[Proposal | TrialRecord]:
        """Every trial by its number, finished or not."""
        begun: dict[int, Proposal | TrialRecord] = {number: trial.proposal for number, trial in self.begun.items()}
        return [trial for _, trial in sorted((begun | self.records).items())]

    @property
    def results(self) -> list[TrialResult]:
        """What is known of each trial that was trained, to the end or up to a rung, in no order."""
        paused = [trial.result for trial in self.begun.values() if trial.result and trial.reached]
        return [*paused, *self.records.values()]

    def hold(self, trial: Begun, result: TrialResult) -> None:
        """Take the result of a stage after which there is another."""
        trial.hold(result, finished=len(self.records))
        self.scores.add(trial.proposal.number, result, trial.proposal.chosen)

    def went_on(self, rung: int, following: int | None) -> int:
        """Count the trials whose training went on at a rung to the next one, but for those that always do."""
        begun = [trial for trial in self.begun.values() if trial.under_way and not trial.proposal.chosen]
        ended = sum(not scored.chosen for scored in self.scores.at[following].values())
        return ended + sum(trial.reached == rung for trial in begun)

    @property
    def counting(self) -> list[Begun]:
        """Begun trials that count as wanted ones."""
        return [trial for trial in self.begun.values() if trial.counts]

    @property
    def looked_at(self) -> int:
        """How many networks were tried, or are."""
        return len(self.records) + len(self.counting)

    @property
    def under_way(self) -> int:
        """How many stages are."""
        return sum(trial.under_way for trial in self.begun.values())

    def abandon(self) -> None:
        """Take back what is under way."""
        for trial in self.begun.values():
            trial.under_way = False

    def ready(self, state: str) -> list[Begun]:
        """Trials of this state that nothing is done for at the moment, by number."""
        found = (trial for trial in self.begun.values() if trial.state == state and not trial.under_way)
        return sorted(found, key=lambda trial: trial.proposal.number)

    def begin(self, proposal: Proposal) -> Begun:
        """Add a new trial."""
        self.begun[proposal.number] = Begun(proposal=proposal)
        return self.begun[proposal.number]

    def finish(self, record: TrialRecord) -> None:
        """Put a record in the place of a trial that was begun."""
        self.begun.pop(record.number, None)
        self.records[record.number] = record
        self.scores.add(record.number, record, record.chosen)
        self.failures = self.failures + 1 if record.state == "failed" else 0

    @property
    def rest_ms(self) -> float | None:
        """The least latency of the reference network that the study has seen."""
        return least_reference_ms(r.latency for r in self.all if r.latency is not None)

    def reopen(self, budget: Budget, rest_ms: float | None) -> int:
        """Take up rejected networks that a budget, or a machine now known to be faster, may let in; count them."""
        again = [r for r in self.records.values() if r.state == "rejected" and _competes(r, budget, rest_ms)]
        for record in again:
            self._take_up(record, Begun(proposal=record.proposal, rejected=record))
        return len(again)

    def unstop(self, resumable: Iterable[int]) -> None:
        """Count stopped trials whose checkpoint is still there as paused."""
        for record in [self.records[number] for number in resumable if self.records[number].state == "stopped"]:
            paused = Begun(proposal=record.proposal, state="paused", result=record.result, stopped=record)
            self._take_up(record, paused)

    def resumed(self, trial: Begun) -> TrialRecord | None:
        """Let a stopped trial go on: return the record that it no longer has; None for every other trial."""
        record, trial.stopped = trial.stopped, None
        return record

    def stop(self, trial: Begun) -> bool:
        """Take back that a stopped trial was counted as paused; return whether it was one."""
        if trial.stopped is None:
            return False
        del self.begun[trial.stopped.number]
        self.records[trial.stopped.number] = trial.stopped
        return True

    def _take_up(self, record: TrialRecord, trial: Begun) -> None:
        del self.records[record.number]
        self.begun[record.number] = trial

    def replace(self, records: Sequence[TrialRecord]) -> None:
        """Put these in the place of the records of the same numbers."""
        self.records |= {record.number: record for record in records if record.number in self.records}


def _competes(record: TrialRecord, budget: Budget, rest_ms: float | None) -> bool:
    assert record.params is not None and record.macs is not None, "rejected networks were counted"
    taken = [record.latency] if record.latency else []
    return gate(budget, record.params, record.macs, taken, rest_ms).verdict != "reject"
