"""The study's loop: propose, run, write down; from the start or from wherever it was left."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from segsearch.errors import BudgetError, InputError
from segsearch.files import make_folder
from segsearch.result import TrialResult
from segsearch.search.config import StudyConfig
from segsearch.search.executors.base import Executor, Task, Work
from segsearch.search.executors.serial import Serial
from segsearch.search.interrupt import stop_requests
from segsearch.search.lock import locked
from segsearch.search.outcome import FAILURES_IN_A_ROW, End, StudyOutcome, conclude
from segsearch.search.pareto import within_reach
from segsearch.search.proposals import too_small
from segsearch.search.provenance import commit, versions
from segsearch.search.record import Proposal, TrialRecord, network_of
from segsearch.search.sampler import seed_of
from segsearch.search.store import StudyFolder
from segsearch.search.study import Study, prepare, run
from segsearch.search.watch import Silent, StudyProgress


def run_study(
    config: StudyConfig, folder: Path, *, progress: StudyProgress | None = None, work: Work | None = None
) -> StudyOutcome:
    """Run a study in a folder, or go on with the one that lies there, until it has its trained trials.

    Ctrl-C once ends it cleanly, twice at once; it can be taken up again either way, as after a crash or a power cut.

    Args:
        config: what to search.
        folder: where the study lies; made if missing.
        progress: told of everything that happens.
        work: runs one trial; by default `segsearch.search.study.run`.

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
            end = driver.run()
        except BaseException:
            progress.closed("stopped by an error; what is finished is kept")
            raise
        finally:
            executor.close()
            store.leave()
        try:
            outcome = conclude(config, folder, end, driver.records)
        except BudgetError as error:
            progress.closed(f"stopped: {error}")
            raise
        progress.closed(outcome.line)
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
        records = store.records()
        again = [r for r in records if r.state == "rejected" and r.meets(self._config.budget)]
        self._rejected_before = {record.number: record for record in again}
        self._records = {record.number: record for record in records if record.number not in self._rejected_before}
        store.clear(self._records)
        left, notes = store.unfinished()
        self._again, self._left = deque(record.proposal for record in again), deque(left)
        self._under_way = 0
        self._failures = 0
        self._proposer = study.proposer()
        begun: dict[int, Proposal | TrialRecord] = {proposal.number: proposal for proposal in (*self._again, *left)}
        begun |= self._records
        self._next_number = 1 + max(begun, default=0)
        for _, trial in sorted(begun.items()):
            self._proposer.began(trial)
            if isinstance(trial, TrialRecord):
                self._proposer.ended(trial)
        if again:
            notes.append(f"{len(again)} networks that an earlier budget rejected meet this one and are trained now")
        for note in notes:
            progress.note(note)

    @property
    def _trained(self) -> int:
        return sum(record.trained for record in self._records.values())

    @property
    def records(self) -> list[TrialRecord]:
        """All trials of the study, by number, earlier runs included."""
        return [record for _, record in sorted((self._rejected_before | self._records).items())]

    def run(self) -> End:
        """Go on until there is nothing more to do, or a stop is asked for."""
        self._progress.opened(self._config.name, self._config.trials, list(self._records.values()))
        try:
            while (end := self._submit()) is None or self._under_way:
                task, result = self._executor.collect()
                self._under_way -= 1
                self._finish(task, result)
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
            waiting = self._again or self._left
            proposal = waiting.popleft() if waiting else self._propose()
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
        if self._again:
            return None
        if self._trained + self._under_way >= self._config.trials:
            return "finished"
        return "proposals" if len(self._records) + self._under_way >= self._config.most_proposals else None

    def _propose(self) -> Proposal | None:
        proposal = self._proposer.next(self._next_number)
        if proposal is not None:
            self._next_number += 1
            self._store.propose(proposal)
            self._proposer.began(proposal)
        return proposal

    def _task(self, proposal: Proposal) -> Task:
        folder = self._store.trial(proposal.number)
        spec = network_of(proposal, folder, "delete this folder to go on")
        self._progress.started(proposal)
        seed = seed_of(self._config.seed, spec.id) if proposal.seed is None else proposal.seed
        return Task(proposal=proposal, spec=spec, folder=folder, seed=seed, started_at=_now())

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
        self._records[record.number] = record
        self._proposer.ended(record)
        self._keep_weights()
        self._failures = self._failures + 1 if record.state == "failed" else 0
        self._progress.finished(record)
        for note in record.notes:
            self._progress.note(f"trial {record.number} {note}")
        if record.trained and record.recipe.pretrained is not None and record.pretrained is None:
            self._progress.note(f"{record.name} began with fresh weights: recipe.pretrained has none for its encoder")
        if record.latency is not None and record.latency.contention.busy:
            others = record.latency.contention.others_percent_during
            self._progress.note(f"others used {others:.0f} % of the processor while trial {record.number} was measured")

    def _keep_weights(self) -> None:
        """Delete the weights that no front needs any more, as the study's file asks."""
        if self._config.keep != "all":
            near = within_reach(self._records.values(), self._config.budget) if self._config.keep == "front" else []
            self._store.keep((record.number for record in near), self._records)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
