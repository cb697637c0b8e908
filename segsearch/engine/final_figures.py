"""The figures of final trainings as they grow, each on disk before the next one is begun."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segsearch.engine.confirm import Time
from segsearch.errors import DivergedError, SegsearchError, WorkerError, machine_fault
from segsearch.files import write_atomic
from segsearch.measure.record import LatencyRecord
from segsearch.progress import Report
from segsearch.run.course import Check
from segsearch.run.folder import Training
from segsearch.run.train import Run, train_run
from segsearch.study.budget import Budget
from segsearch.study.final import FINAL, FinalFile, Finalist, Trained, concluded
from segsearch.study.gate import best_of
from segsearch.study.record import TrialRecord


@dataclass(frozen=True, kw_only=True)
class Job:
    """One final training."""

    record: TrialRecord
    number: int
    """Which of the network's seeds."""
    training: Training
    folder: Path
    title: str
    """For people."""


class Figures:
    """All figures of a study's final trainings, those that are known by now."""

    def __init__(
        self,
        file: FinalFile,
        folder: Path,
        report: Report,
        note: Callable[[str], None],
        checked: Callable[[str, Check], None],
        finished: Callable[[Run], None],
    ) -> None:
        self._file, self._folder = file, folder
        self._report, self._note, self._checked, self._finished = report, note, checked, finished
        self._write()

    def train(self, job: Job) -> None:
        """Train one network with one seed, take up what is there, or read it where it is finished."""
        self._note(job.title)
        try:
            run = train_run(
                job.training,
                job.folder,
                report=lambda what, done, total: self._report(f"{job.title}: {what}", done, total),
                checked=lambda check: self._checked(job.title, check),
                note=lambda line: self._note(f"{job.title}: {line}"),
            )
        except DivergedError as error:
            self.failed(job, str(error))
            return
        self._finished(run)
        self._note(f"{job.title}: mIoU {100 * run.result.counted.miou:.1f} %")
        self._add(job, _figures(job.number, run))

    def failed(self, job: Job, why: str) -> None:
        """Write down that a training diverged: its network cannot win."""
        self._note(f"{job.title}: {why}")
        self._add(job, Trained(seed=job.number, failure=why))

    def _add(self, job: Job, trained: Trained) -> None:
        found = sorted([*self._of(job.record).trainings, trained], key=lambda each: each.seed)
        self._update(job.record, trainings=found)

    def time(self, record: TrialRecord, time: Time) -> None:
        """Time one network that has not been timed yet; an unsteady figure is taken once more.

        One that cannot be timed keeps the latency of the search, and is tried again when this is called anew.

        Raises:
            WorkerError: the machine that measures is not there. MachineError: no disk space, memory or file handles.
        """
        if self._of(record).latency is not None:
            return
        self._report(f"time {record.name}", 0, 1)
        taken = list[LatencyRecord]()
        try:
            while len(taken) < 2 and not any(each.steady for each in taken):
                taken.append(time(record))
        except SegsearchError as error:
            if not taken:
                if isinstance(error, WorkerError):
                    raise
                if fault := machine_fault(error):
                    raise fault from error
                self._note(f"{record.name} keeps the latency that it has: {error}")
                self._update(record, untimed=str(error))
                return
        self._update(record, latency=best_of(taken))

    def conclude(self, budget: Budget) -> FinalFile:
        """Name the winner, where no figure is missing."""
        self._file = concluded(self._file, budget)
        self._write()
        return self._file

    def _of(self, record: TrialRecord) -> Finalist:
        found = self._file.of(record.number)
        assert found is not None, "all that are chosen are listed"
        return found

    def _update(
        self,
        record: TrialRecord,
        trainings: Sequence[Trained] | None = None,
        latency: LatencyRecord | None = None,
        untimed: str | None = None,
    ) -> None:
        old = self._of(record)
        known = old.trainings if trainings is None else trainings
        new = Finalist.of(record, latency or old.latency, known, untimed=untimed)
        finalists = tuple(new if finalist is old else finalist for finalist in self._file.finalists)
        self._file = self._file.model_copy(update={"finalists": finalists})
        self._write()

    def _write(self) -> None:
        write_atomic(self._folder / FINAL, self._file.lines())


def _figures(seed: int, run: Run) -> Trained:
    result = run.result
    return Trained(
        seed=seed,
        miou=result.counted.miou,
        standard_error=result.counted.standard_error,
        report_miou=result.report_scores.miou if result.report_scores else None,
        seconds=result.seconds,
    )
