"""The study's loop: propose, run, write down; from the start or from wherever it was left."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from segsearch.errors import InputError
from segsearch.files import make_folder
from segsearch.interrupt import stop_requests
from segsearch.lock import locked
from segsearch.provenance import commit, versions
from segsearch.result import TrialResult
from segsearch.search.config import StudyConfig
from segsearch.search.confirm import Time, confirm, timed_again
from segsearch.search.executors.base import Executor, Task, Work
from segsearch.search.executors.serial import Serial
from segsearch.search.gate import ALIKE, MEASUREMENTS, due_after, gate, least_reference_ms
from segsearch.search.outcome import FAILURES_IN_A_ROW, End, StudyOutcome, check_budget, conclude, enough_trained
from segsearch.search.pareto import within_reach
from segsearch.search.proposals import Proposer, too_small
from segsearch.search.record import Proposal, TrialRecord, network_of
from segsearch.search.sampler import seed_of
from segsearch.search.store import StudyFolder
from segsearch.search.study import Study, prepare, run
from segsearch.search.watch import Silent, StudyProgress


def run_study(
    config: StudyConfig,
    folder: Path,
    *,
    progress: StudyProgress | None = None,
    work: Work | None = None,
    time: Time | None = None,
) -> StudyOutcome:
    """Run a study in a folder, or go on with the one that lies there, until it has its trained trials.

    Ctrl-C once ends it cleanly, twice at once; it can be taken up again either way, as after a crash or a power cut.

    Args:
        config: what to search.
        folder: where the study lies; made if missing.
        progress: told of everything that happens.
        work: runs one trial; default `segsearch.search.study.run`.
        time: times one network again when the trials are done; default in as many new processes as the study asks for.

    Raises:
        InputError: the study cannot be, the folder holds another one or is in use, or the disk is full.
        BudgetError: no proposal met the budget; names the nearest.
        DeviceError, MissingExtraError: as `prepare`.
    """
    progress = progress or Silent()
    study, store = prepare(config), StudyFolder(folder)
    commit(), versions()  # of the code that runs now: somebody may check out another while it does
    make_folder(folder)

    def told(line: str) -> None:
        progress.note(line)
        store.leave()  # now: whoever asked for a stop may not wait for it, and kill

    with locked(folder), stop_requests(told) as stop:
        store.begin(study.file)
        for note in study.notes:
            progress.note(f"data: {note}")
        for name in too_small(study.named, study.setup.size_hw):
            progress.note(f"{name} is left out: images of {config.data.size} are too small for it")

        def stopped() -> bool:
            store.check()
            return stop()

        executor = Serial(work or partial(run, study.setup), progress, stopped)
        driver = _Driver(study, store, executor, progress, stop)
        try:
            end = driver.run(time or timed_again(study.setup, config.confirm, stop))
        except BaseException:
            progress.closed("stopped by an error; what is finished is kept")
            raise
        finally:
            executor.close()
            store.leave()
        outcome = conclude(config, folder, end, driver.records)
        progress.closed(outcome.line)
        check_budget(config, end, driver.records)
        return outcome


class _Driver:
    """The loop's state: what is finished, what is under way, what was left by an earlier run."""

    def __init__(
        self,
        study: Study,
        store: StudyFolder,
        executor: Executor,
        progress: StudyProgress,
        stop: Callable[[], bool],
    ) -> None:
        self._config, self._study, self._store = study.config, study, store
        self._executor, self._progress, self._stop = executor, progress, stop
        self._records = {record.number: record for record in store.records()}
        self._rejected_before: dict[int, TrialRecord] = {}
        store.clear(self._records)
        left, notes = store.unfinished()
        self._left, self._again = deque(left), deque[Proposal]()
        self._waiting: dict[int, tuple[int, Proposal]] = {}
        self._open = {proposal.number: proposal for proposal in left}
        self._under_way = 0
        self._failures = 0
        self._next_number = 1 + max((*self._records, *self._open), default=0)
        self._rest_ms = least_reference_ms(r.latency for r in self._records.values() if r.latency is not None)
        self._proposer = self._informed()
        if again := self._reopen():
            notes.append(f"{again} rejected networks may meet the budget after all and are tried again")
        for note in notes:
            progress.note(note)

    def _informed(self) -> Proposer:
        """Return a proposer that knows all trials, in the order of their numbers."""
        proposer = self._study.proposer()
        begun: dict[int, Proposal | TrialRecord] = {**self._open, **self._records}
        for _, trial in sorted(begun.items()):
            proposer.began(trial)
            if isinstance(trial, TrialRecord):
                proposer.ended(trial)
        return proposer

    def _reopen(self) -> int:
        """Try rejected networks again that the gate would not reject any more; return how many there are.

        Either the budget was changed, or the machine turns out to have been slower than it can be.
        """
        again = [record for record in self._records.values() if record.state == "rejected" and self._competes(record)]
        for record in again:
            self._rejected_before[record.number] = self._records.pop(record.number)
            self._open[record.number] = record.proposal
            self._again.append(record.proposal)
        if again:
            self._proposer = self._informed()
        return len(again)

    def _competes(self, record: TrialRecord) -> bool:
        assert record.params is not None and record.macs is not None, "rejected networks were counted"
        taken = [record.latency] if record.latency else []
        return gate(self._config.budget, record.params, record.macs, taken, self._rest_ms).verdict != "reject"

    @property
    def _enough(self) -> bool:
        """Whether what is trained, under way or waits is as much as is wanted."""
        trained = enough_trained(self._records.values(), self._config.trials)
        return trained + self._under_way + len(self._waiting) >= self._config.trials

    @property
    def _used_up(self) -> bool:
        looked_at = len(self._records) + self._under_way + len(self._waiting)
        return looked_at >= self._config.most_proposals

    @property
    def records(self) -> list[TrialRecord]:
        """All trials of the study, by number, earlier runs included."""
        return [record for _, record in sorted((self._rejected_before | self._records).items())]

    def run(self, time: Time) -> End:
        """Go on until there is nothing more to do, or a stop is asked for; then time the best networks again."""
        self._progress.opened(self._config.name, self._config.trials, list(self._records.values()))
        try:
            while (end := self._submit()) is None or self._under_way:
                self._ended(*self._executor.collect())
            if self._config.confirm and end in ("finished", "proposals", "exhausted"):
                again = confirm(self.records, self._config.budget, self._store, self._progress, time)
                self._records |= {record.number: record for record in again if record.number in self._records}
            return end
        except KeyboardInterrupt:
            return "interrupted"
        except InputError:
            self._store.check()  # that the folder is gone says more than which file could not be written
            raise

    def _submit(self) -> End | None:
        """Fill the executor; say why nothing more is to be submitted, if that is so."""
        while self._under_way < self._executor.slots:
            if (end := self._end()) is not None:
                return end
            proposal = self._next()
            if proposal is None:
                return "exhausted"
            task = self._task(proposal)
            if (reason := self._store.attempt(proposal.number)) is None:
                self._executor.submit(task)
                self._under_way += 1
            else:
                self._finish(
                    task, TrialResult(state="failed", reason=reason, spec=task.spec, spec_id=task.spec.id, seconds={})
                )
        return None

    def _end(self) -> End | None:
        if self._stop():
            return "interrupted"
        if self._failures >= FAILURES_IN_A_ROW:
            return "failing"
        if self._again or self._waiting:
            return None
        if self._enough:
            return "finished"
        return "proposals" if self._used_up else None

    def _next(self) -> Proposal | None:
        """Choose what to run: networks that compete again, those whose time to be measured again has come, new ones.

        Those that wait are not waited for where nothing else is left to do.
        """
        if self._again:
            return self._again.popleft()
        idle = self._enough or self._used_up
        due = [number for number, (after, _) in self._waiting.items() if idle or after <= len(self._records)]
        if due:
            return self._waiting.pop(min(due))[1]
        proposal = self._left.popleft() if self._left else self._propose()
        if proposal is None and self._waiting:
            return self._waiting.pop(min(self._waiting))[1]
        return proposal

    def _propose(self) -> Proposal | None:
        proposal = self._proposer.next(self._next_number)
        if proposal is not None:
            self._next_number += 1
            self._store.propose(proposal)
            self._open[proposal.number] = proposal
            self._proposer.began(proposal)
        return proposal

    def _task(self, proposal: Proposal) -> Task:
        folder = self._store.trial(proposal.number)
        spec = network_of(proposal, folder, "delete this folder to go on")
        self._progress.started(proposal)
        seed = seed_of(self._config.seed, spec.id) if proposal.seed is None else proposal.seed
        return Task(proposal=proposal, spec=spec, folder=folder, seed=seed, started_at=_now(), rest_ms=self._rest_ms)

    def _ended(self, task: Task, result: TrialResult) -> None:
        """Take in the result of a task, and what its measurement tells of the machine."""
        self._under_way -= 1
        if result.state == "waiting":
            assert result.measurements is not None
            self._store.pause(task.proposal.number)
            after = due_after(result.measurements, len(self._records))
            self._waiting[task.proposal.number] = (after, task.proposal)
            name = f"trial {task.proposal.number}: {task.proposal.name}"
            taken = f"measurement {result.measurements} of {MEASUREMENTS}"
            self._progress.note(f"{name} waits to be measured again ({taken}: {result.reason})")
        else:
            self._finish(task, result)
        if result.latency is None:
            return
        before, self._rest_ms = self._rest_ms, least_reference_ms([result.latency], self._rest_ms)
        if before and self._rest_ms and self._rest_ms < (1 - ALIKE) * before and (again := self._reopen()):
            self._progress.note(f"the machine is faster than it seemed: {again} rejected networks are tried again")

    def _finish(self, task: Task, result: TrialResult) -> None:
        """Write the record first, then tell everybody."""
        record = TrialRecord.of(
            task.proposal,
            result,
            recipe_id=self._config.recipe.id,
            recipe=self._config.recipe,
            seed=task.seed,
            device=self._study.file.device,
            commit=commit(),
            versions=versions(),
            started_at=task.started_at,
            finished_at=_now(),
        )
        self._store.finish(record)
        self._open.pop(record.number, None)
        self._records[record.number] = record
        self._proposer.ended(record)
        self._keep_weights()
        self._failures = self._failures + 1 if record.state == "failed" else 0
        self._progress.finished(record)
        for note in record.notes:
            self._progress.note(f"trial {record.number} {note}")
        if record.trained and record.recipe.pretrained is not None and record.pretrained is None:
            self._progress.note(f"{record.name} began with fresh weights: recipe.pretrained has none for its encoder")
        if record.latency is not None and not record.latency.steady:
            self._progress.note(f"trial {record.number} has an unsteady latency: {record.latency.unsteady}")

    def _keep_weights(self) -> None:
        """Delete the weights that no front needs any more, as the study's file asks."""
        if self._config.keep != "all":
            near = within_reach(self._records.values(), self._config.budget) if self._config.keep == "front" else []
            self._store.keep((record.number for record in near), self._records)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
