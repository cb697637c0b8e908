"""A study that is asked for networks and told what they reach, for those who train with code of their own.

::

    with segsearch.open_study("my_study.yaml", "runs/mine") as study:
        while trial := study.ask():
            miou = my_training(trial.network)
            study.tell(trial, miou=miou, weights=trial.network)
"""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from torch import nn

from segsearch.engine.driver import Driver
from segsearch.engine.executors.base import Task
from segsearch.engine.opening import opened
from segsearch.engine.own_training import OwnTrial
from segsearch.engine.prepare import run
from segsearch.engine.watch import Silent, StudyProgress
from segsearch.errors import InputError
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.study.config import StudyConfig, load_study
from segsearch.study.outcome import End
from segsearch.study.pareto import front
from segsearch.study.record import TrialRecord
from segsearch.training.scores import Scores
from segsearch.trial import TrialSetup


def open_study(
    study: str | Path | StudyConfig | Mapping[str, object],
    folder: str | Path | None = None,
    *,
    progress: StudyProgress | None = None,
) -> "AskedStudy":
    """Open a study in a folder, new or begun, to ask it for networks; `AskedStudy.close` it, or use it in a ``with``.

    The study's file says what is searched, on which data's classes and size, within which budget, and how many trained
    networks are wanted; of its recipe only the number of epochs is used, and that only where it has rungs: then
    `OwnTrial.should_stop` says which trainings are not worth their end. Its records are those of any study: ``segsearch
    pareto`` shows them, and ``segsearch export`` takes the winner where weights were told.

    Args:
        study: a study's file, the name of a shipped one, a config, or a dict of what its file would say.
        folder: of the study; default: its name in ``runs``.
        progress: told of everything that happens.

    Raises:
        InputError: the study cannot be, the folder holds another one, or another process has it open.
        DeviceError, MissingExtraError: what it measures with is not here.
    """
    config = load_study(study)
    path = Path(folder) if folder is not None else Path("runs") / config.name
    return AskedStudy(config, path, progress or Silent())


class _Given:
    """An executor that measures, and gives trainings out; ``slots`` is one more than are given out."""

    measures_here = True

    def __init__(self, setup: TrialSetup, report: Callable[[Task], Report]) -> None:
        self.slots = 1
        self._setup, self._report, self._tasks = setup, report, deque[Task]()

    def submit(self, task: Task) -> None:
        """Take a task."""
        self._tasks.append(task)

    def apart(self, task: Task) -> bool:
        """Trainings are somebody else's."""
        return task.stage == "train"

    def next(self) -> Task | None:
        """Give a task that was submitted, to be run by whoever takes it; None where there is none."""
        return self._tasks.popleft() if self._tasks else None

    def measure(self, task: Task) -> TrialResult:
        """Measure a network. Raises as `segsearch.trial.measure_trial`."""
        assert task.stage == "measure", "results of trainings come by `AskedStudy.tell`"
        return run(self._setup, task, self._report(task))

    def collect(self) -> tuple[Task, TrialResult]:
        """Measure the network that was submitted. Raises as `measure`."""
        task = self._tasks.popleft()
        return task, self.measure(task)

    def close(self) -> None:
        """Forget what was submitted."""
        self._tasks.clear()


class AskedStudy:
    """A study that is asked and told; made by `open_study`, and open in one process at a time."""

    def __init__(self, config: StudyConfig, folder: Path, progress: StudyProgress) -> None:
        self._progress = progress
        self._open: dict[int, OwnTrial] = {}
        self.end: End | None = None
        """Why the last `ask` gave nothing: ``finished``, ``proposals``, ``exhausted``, ``failing`` or ``time``."""
        with ExitStack() as stack:
            self._at = stack.enter_context(opened(config, folder, None, progress))
            self._given = _Given(self._at.study.setup, self._heard)
            self._driver = Driver(self._at.study, self._at.store, self._given, progress, lambda: False, self._at.pace)
            progress.opened(config.name, config.trials or 0, self.records)
            stack.callback(lambda: progress.closed("closed; the next program that opens it goes on from here"))
            self._stack = stack.pop_all()

    def _heard(self, task: Task) -> Report:
        """Return what is told how far a trial is."""

        def report(what: str, done: int, total: int) -> None:
            self._progress.stage(task.proposal.number, what, done, total)
            self._at.store.check()
            self._at.pace.tick()

        return report

    def ask(self) -> OwnTrial | None:
        """Give a network to be trained, measured and within the budget; None where no more are wanted or found.

        Several may be out at once. One that was given out and never told is given again by the next process.

        Raises:
            As `segsearch.trial.measure_trial`; the study may be asked again.
        """
        self._given.slots = len(self._open) + 1
        while True:
            self._at.pace.tick()
            self.end = self._driver.submit()
            if (task := self._given.next()) is None:
                return None
            if task.stage == "train":
                trial = OwnTrial(task, self._at.study.setup, self._heard(task), self._driver.goes_on)
                self._open[trial.number] = trial
                return trial
            try:
                result = self._given.measure(task)
            except BaseException:
                self._driver.take_back(task)
                raise
            self._driver.take(task, result)

    def tell(
        self,
        trial: OwnTrial,
        miou: float | None = None,
        *,
        scores: Scores | None = None,
        weights: nn.Module | None = None,
        error: str | None = None,
    ) -> TrialRecord:
        """Say what a trial has come to, and return its record.

        Args:
            trial: that `ask` gave; alone where it stopped at a rung, as `OwnTrial.should_stop` asked for.
            miou: 0..1; one that is not a number makes a failed trial.
            scores: all that `segsearch.api.evaluate` says, in place of ``miou``.
            weights: the trained network, for `segsearch export`; a study keeps those on and near its front.
            error: why there is no mIoU: the trial has failed.

        Raises:
            InputError: several of ``miou``, ``scores`` and ``error``, or none though the trial is not to stop; a trial
                that was told before; an mIoU that cannot be; weights of another network. Or the disk is full: it can be
                told again.
        """
        if self._open.get(trial.number) is not trial:
            raise InputError(f"trial {trial.number}", "is not one that was asked for and not told yet")
        said = miou if scores is None else scores
        given = 3 - [miou, scores, error].count(None)
        stopped = given == 0 and trial.should_stop
        if given != 1 and not stopped:
            raise InputError(f"trial {trial.number}", "is told with one thing", "miou, scores, or error")
        if stopped:
            result = trial.stopped()
        else:
            result = trial.failed(error or "") if said is None else trial.result(said, weights)
        self._driver.take(trial.task, result)
        del self._open[trial.number]
        self._at.pace.tick()
        return next(record for record in self.records if record.number == trial.number)

    @property
    def records(self) -> list[TrialRecord]:
        """All finished trials by number, rejected and failed ones included."""
        return self._driver.records

    @property
    def front(self) -> list[TrialRecord]:
        """The trained networks that no other beats in mIoU and latency, the fastest first."""
        return front(self.records, self._at.study.config.budget)

    def close(self) -> None:
        """Let the folder go; what was given out and not told is given out again by the next process."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close; the time taken is written where there was an error, too."""
        self._stack.__exit__(kind, error, traceback)
