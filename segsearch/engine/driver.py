"""The study's loop: propose, run stage by stage, write down; from the start or from wherever it was left."""

from collections.abc import Callable, Iterable
from pathlib import Path

from segsearch.deployment.markdown import percent
from segsearch.engine.agenda import Agenda, Step
from segsearch.engine.confirm import Time, confirm
from segsearch.engine.executors.base import Executor, Task, Work
from segsearch.engine.executors.site import Here, Site
from segsearch.engine.ledger import Ledger, now
from segsearch.engine.opening import opened
from segsearch.engine.own_training import GoesOn, Objective, OwnWork, always, check_objective
from segsearch.engine.pace import Pace
from segsearch.engine.prepare import Study
from segsearch.engine.watch import Silent, StudyProgress
from segsearch.errors import InputError
from segsearch.interrupt import stop_requests
from segsearch.measure.record import LatencyRecord
from segsearch.result import Rung, TrialResult
from segsearch.samplers.sampler import seed_of
from segsearch.samplers.shortlist import Shortlist
from segsearch.spec.network import NetworkSpec
from segsearch.study.config import StudyConfig
from segsearch.study.gate import ALIKE, MEASUREMENTS, least_reference_ms
from segsearch.study.outcome import ENDED, End, StudyOutcome, check_budget, conclude
from segsearch.study.record import Proposal, TrialRecord, network_of
from segsearch.study.store import StudyFolder
from segsearch.study.trials import Begun
from segsearch.study_files import LATENCY
from segsearch.trial import write_measurements


def run_study(
    config: StudyConfig,
    folder: Path,
    *,
    progress: StudyProgress | None = None,
    work: Work | None = None,
    time: Time | None = None,
    site: Site | None = None,
    objective: Objective | None = None,
) -> StudyOutcome:
    """Run a study in a folder, or go on with the one that lies there, until it has its trained trials.

    Ctrl-C once ends it cleanly, twice at once; it can be taken up again either way, as after a crash or a power cut.

    Args:
        config: what to search.
        folder: where the study lies; made if missing.
        progress: told of everything that happens.
        work: runs one stage of a trial; default `segsearch.engine.prepare.run`.
        time: times one network again when the trials are done; default in as many new processes as the study asks for.
        site: where the stages run; default: one after another in this process.
        objective: trains and scores a network in place of the study's recipe; takes any time, unless the study names
            ``step_seconds``.

    Raises:
        InputError: the study cannot be, the folder holds another one or is in use, or the disk is full.
        BudgetError: no proposal met the budget; names the nearest.
        DeviceError, MissingExtraError: as `prepare`. WorkerError: the machines of the site are lost.
    """
    progress, site = progress or Silent(), site or Here()
    if objective is not None:
        check_objective(objective)

    def told(line: str) -> None:
        progress.note(line)
        at.store.leave()  # now: whoever asked for a stop may not wait for it, and kill

    def stopped() -> bool:
        at.store.check()
        at.pace.tick()
        return at.pace.up or stop()

    with opened(config, folder, site.target, progress) as at, stop_requests(told) as stop:
        if objective is not None:
            # a training elsewhere cannot ask how others stand
            here = isinstance(site, Here)
            goes_on: GoesOn = (lambda number, rung: driver.goes_on(number, rung)) if here else always
            work = OwnWork(at.study.setup, objective, goes_on)
        executor = site.executor(at.study, work, progress, stopped)
        driver = Driver(at.study, at.store, executor, progress, stop, at.pace)
        try:
            end = driver.run(time or site.time(at.study, stop))
        except BaseException:
            progress.closed("stopped by an error; what is finished is kept")
            raise
        finally:
            executor.close()
        outcome = conclude(config, folder, end, driver.records)
        progress.closed(outcome.line)
    check_budget(config, end, outcome.records)
    return outcome


class Driver:
    """The loop: submit what the agenda says, take in what comes back, write down before anybody is told."""

    def __init__(
        self,
        study: Study,
        store: StudyFolder,
        executor: Executor,
        progress: StudyProgress,
        stop: Callable[[], bool],
        pace: Pace,
    ) -> None:
        self._config, self._study, self._store = study.config, study, store
        self._executor, self._progress, self._stop, self._pace = executor, progress, stop, pace
        self._trials, notes = store.stand(study.config.budget)
        self._rest_ms = self._trials.rest_ms
        self._agenda = Agenda(
            study.config, len(study.setup.splits.train), lambda numbers: self._proposer.merits(numbers)
        )
        self._shortlist: Shortlist | None = None
        if executor.measures_here and study.config.shortlist > 1 and study.config.sampler == "pareto":
            self._shortlist = Shortlist(
                study.config.shortlist, self._measure, store.path, progress.note, lambda: max(1, executor.slots - 1)
            )
        self._proposer = self._study.proposer(self._shortlist, self._trials)
        self._ledger = Ledger(study, store, self._trials, progress)
        for note in notes:
            progress.note(note)

    @property
    def records(self) -> list[TrialRecord]:
        """All trials of the study, by number, earlier runs included."""
        return self._trials.all

    def run(self, time: Time) -> End:
        """Go on until there is nothing more to do, or a stop is asked for; then time the best networks again."""
        self._progress.opened(self._config.name, self._config.trials or 0, list(self._trials.records.values()))
        try:
            end = self._run_trials()
            if end in ENDED:
                self._stop_all(self._trials.ready("paused"), "then the study ended", resumable=True)
            if self._config.confirm and end in ENDED:
                again = confirm(
                    self.records, self._config.budget, self._store, self._progress, time, lambda: self._pace.over
                )
                self._trials.replace(again)
                self._ledger.show()
            return end
        except KeyboardInterrupt:
            return "interrupted"
        except InputError:
            self._store.check()  # that the folder is gone says more than which file could not be written
            raise

    def _run_trials(self) -> End:
        try:
            while (end := self.submit()) is None or self._trials.under_way:
                self.take(*self._executor.collect())
            return end
        except KeyboardInterrupt:
            if self._stop() or not self._pace.up:
                raise
            self._trials.abandon()  # what was under way as the time was up goes on where there is more
            self._store.leave()
            return "time"

    def submit(self) -> End | None:
        """Fill the executor; say why nothing more is to be submitted, if that is so."""
        while self._trials.under_way < self._executor.slots:
            if self._stop():
                return "interrupted"
            self._pace.learn(self._trials)
            steps = self._pace.steps(self._executor.slots, self._agenda.under_way(self._trials))
            step = self._agenda.next(self._trials, steps)
            if step == "propose":
                try:
                    self._propose()
                except KeyboardInterrupt:  # while a network of a shortlist was measured
                    if not self._trials.under_way:
                        raise
                    return "interrupted" if self._stop() else "time"  # trainings elsewhere are to save their state
            elif isinstance(step, Step):
                self._begin(step)
            else:
                return step
        return None

    def _propose(self) -> None:
        proposal = self._proposer.next(self._trials.next_number)
        if proposal is None:
            self._agenda.exhausted = True
            return
        self._store.propose(proposal)
        if (latency := self._proposer.latency(proposal)) is not None:
            write_measurements(self._store.trial(proposal.number) / LATENCY, [latency])
        self._trials.begin(proposal)
        self._proposer.began(proposal)

    def _measure(self, proposal: Proposal, spec: NetworkSpec, folder: Path) -> TrialResult:
        """Measure a network that may become a trial, unless the process has died of that too often."""
        if reason := self._store.attempt(folder):
            return TrialResult(state="failed", reason=reason, spec=spec, spec_id=spec.id, seconds={})
        task = Task(
            proposal=proposal,
            spec=spec,
            folder=folder,
            seed=0,
            started_at=now(),
            rest_ms=self._rest_ms,
            stage="measure",
        )
        try:
            return self._executor.measure(task)
        finally:
            self._store.ended(folder)

    def _begin(self, step: Step) -> None:
        """Submit a stage, unless the process has died in it too often."""
        trial, task = step.trial, self._task(step)
        if record := self._trials.resumed(trial):
            self._store.resume(record)
        if trial.rejected is not None:
            self._store.reopen(trial.proposal.number)
        # where a stage has a process of its own, the end of this one says nothing of its network
        apart = self._executor.apart(task)
        if (reason := None if apart else self._store.attempt(task.folder)) is None:
            trial.under_way = True
            if task.stage == "train":
                self._ledger.training(trial)
            self._executor.submit(task)
        else:
            reason += " (delete the folder's result.json to try it again)"
            failed = TrialResult(state="failed", reason=reason, spec=task.spec, spec_id=task.spec.id, seconds={})
            self._finish(trial, failed.after(trial.result))

    def _task(self, step: Step) -> Task:
        trial, proposal = step.trial, step.trial.proposal
        folder = self._store.trial(proposal.number)
        spec = network_of(proposal, folder, "delete this folder to go on")
        if trial.state != "passed":  # else its first stage has just ended
            self._progress.started(proposal)
        trial.started_at = trial.started_at or now()
        return Task(
            proposal=proposal,
            spec=spec,
            folder=folder,
            seed=self._seed(proposal),
            started_at=trial.started_at,
            rest_ms=self._rest_ms,
            stage=step.stage,
            until=step.until,
        )

    def take_back(self, task: Task) -> None:
        """Take back that a stage was begun, as an error stopped it: its trial is as an earlier run would leave it."""
        trial = self._trials.begun[task.proposal.number]
        trial.under_way, trial.started_at = False, None
        self._store.ended(task.folder)

    def take(self, task: Task, result: TrialResult) -> None:
        """Take in the result of a stage, and what its measurement tells of the machine."""
        trial = self._trials.begun[task.proposal.number]  # under way until it is written what became of it
        if task.stage == "train":
            result = result.after(trial.result)
        if result.state in ("passed", "waiting", "paused"):
            self._hold(trial, result)
        else:
            self._finish(trial, result)
        if task.stage == "measure" and result.latency is not None:
            self._learn_speed(result.latency)

    def goes_on(self, number: int, rung: Rung) -> bool:
        """Take in a score at a rung of a training that is somebody else's; say whether it is worth going on."""
        trial = self._trials.begun[number]
        assert trial.result is not None, "it was measured before"
        trial.result = trial.result.model_copy(update={"rungs": (*trial.result.rungs, rung)})
        self._trials.scores.add(number, trial.result, trial.proposal.chosen)
        self._ledger.training(trial)
        return self._agenda.goes_on(self._trials, trial)

    def _hold(self, trial: Begun, result: TrialResult) -> None:
        """Keep a trial whose next stage is to come, and say why where that is not at once."""
        number, name = trial.proposal.number, trial.proposal.name
        self._store.hold(number, result)
        self._trials.hold(trial, result)
        self._progress.stage_ended(number)
        if result.state == "waiting":
            taken = f"measurement {result.measurements} of {MEASUREMENTS}"
            self._progress.note(f"trial {number}: {name} waits to be measured again ({taken}: {result.reason})")
        elif result.state == "paused":
            self._progress.note(f"trial {number}: {name} is paused, {_at_rung(trial)}")
            self._ledger.training(trial)
            self._proposer.scored(number, result)
            self._stop_all(
                self._agenda.beaten(self._trials, trial.reached), "others were better there", resumable=False
            )

    def _stop_all(self, trials: Iterable[Begun], why: str, *, resumable: bool) -> None:
        """Write records of trials that are paused, and are not to go on in this study."""
        for trial in trials:
            if self._trials.stop(trial):  # it was stopped in an earlier run, and has not gone on
                if not resumable:
                    self._store.drop_checkpoint(trial.proposal.number)
            else:
                assert trial.result is not None
                reason = f"{_at_rung(trial)}; {why}"
                result = trial.result.model_copy(update={"state": "stopped", "reason": reason})
                self._finish(trial, result, resumable=resumable)

    def _learn_speed(self, latency: LatencyRecord) -> None:
        """Take up rejected networks again where the machine turns out to have been slower than it can be."""
        before, self._rest_ms = self._rest_ms, least_reference_ms([latency], self._rest_ms)
        if not before or not self._rest_ms or self._rest_ms >= (1 - ALIKE) * before:
            return
        if again := self._trials.reopen(self._config.budget, self._rest_ms):
            self._proposer = self._study.proposer(self._shortlist, self._trials)
            self._progress.note(f"the machine is faster than it seemed: {again} rejected networks are tried again")

    def _finish(self, trial: Begun, result: TrialResult, *, resumable: bool = False) -> None:
        """Write the record first, then learn from it."""
        record = self._ledger.finish(trial, result, seed=self._seed(trial.proposal), resumable=resumable)
        self._proposer.ended(record)
        if record.trained and self._config.rungs:
            self._progress.note("; ".join(map(str, self._agenda.agreements(self._trials))))

    def _seed(self, proposal: Proposal) -> int:
        """Of initial weights, batches and augmentation."""
        return seed_of(self._config.seed, proposal.spec_id) if proposal.seed is None else proposal.seed


def _at_rung(trial: Begun) -> str:
    """Say how far a trial was trained."""
    miou = next(rung.miou for rung in trial.result.rungs if rung.epochs == trial.reached) if trial.result else 0.0
    return f"mIoU {percent(miou)} after {trial.reached} epoch{'s' if trial.reached > 1 else ''}"
