"""Trials that somebody trains with code of their own: what they get of a trial, and what becomes of what they say."""

import contextlib
import inspect
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import SupportsFloat

from torch import nn

from segsearch.deployment.markdown import percent
from segsearch.engine.executors.base import Task
from segsearch.engine.prepare import run
from segsearch.errors import InputError, MachineError, MissingExtraError, WorkerError, machine_fault, one_line
from segsearch.files import make_folder, write_atomic
from segsearch.measure.record import LatencyRecord
from segsearch.models.network import Network
from segsearch.progress import Report, silent
from segsearch.result import Rung, TrialResult
from segsearch.space.nodes import Scalar
from segsearch.spec.network import NetworkSpec
from segsearch.study.gate import best_of
from segsearch.study_files import ERROR, LATENCY, WEIGHTS
from segsearch.training.scores import Scores
from segsearch.training.weights import WeightFacts, save_weights
from segsearch.trial import TrialSetup, fresh_network, read_measurements

NOTE = "was trained by a program of its own, whose mIoU this is"


GoesOn = Callable[[int, Rung], bool]
"""Takes the score of a trial, by its number, at one of the study's rungs; says whether it is worth going on."""


def always(number: int, rung: Rung) -> bool:
    """Let every training go on."""
    return True


class OwnTrial:
    """A network that is measured and within the budget, to be trained by somebody's own code."""

    should_stop = False
    """Whether others were better at one of the study's rungs, so that the training is not worth its end.

    Of the networks that were reported there, the share of the best goes on that a study's own trainings are promoted
    by, in the same order (`segsearch.study.promotion`); a network that was named under ``points`` always does. A
    program that stops then tells the study of the trial alone, and an objective returns None: the record's state is
    ``stopped``, and other networks are tried with the epochs that are left. Where trainings run on a Ray, none is
    stopped.
    """

    def __init__(self, task: Task, setup: TrialSetup, report: Report = silent, goes_on: GoesOn = always) -> None:
        self.task, self._setup, self._report, self._goes_on = task, setup, report, goes_on
        self._begun = time.perf_counter()
        self._reported: dict[int, float] = {}

    @property
    def number(self) -> int:
        """Of the trial in its study."""
        return self.task.proposal.number

    @property
    def name(self) -> str:
        """Of the network, for people."""
        return self.task.proposal.name

    @property
    def point(self) -> dict[str, Scalar]:
        """The choices that the network is."""
        return dict(self.task.proposal.point)

    @property
    def spec(self) -> NetworkSpec:
        """The network, explicit."""
        return self.task.spec

    @property
    def seed(self) -> int:
        """Of the network's weights, and for whatever else is drawn."""
        return self.task.seed

    @property
    def folder(self) -> Path:
        """A folder for checkpoints of the training: it is the same when a stopped study gives this trial out again."""
        return self.task.folder

    @cached_property
    def network(self) -> Network:
        """The network with fresh weights, in train mode: images (B, 3, H, W) to logits (B, K, H, W)."""
        return fresh_network(self.spec, len(self._setup.splits.train.classes), "none", self.seed).train()

    @cached_property
    def latency(self) -> LatencyRecord:
        """The measurement that let it be trained; ``median_ms`` in milliseconds."""
        return best_of(read_measurements(self.folder / LATENCY))

    def report(self, epoch: int, miou: float) -> None:
        """Say what the training has reached after an epoch, 1 or later; it becomes one of the record's rungs.

        In a study with rungs only the scores at these do, and `should_stop` may become true there.

        Raises:
            InputError: an epoch or mIoU that cannot be, or the study's folder was moved. KeyboardInterrupt: in a study
                that is to stop.
        """
        if epoch < 1:
            raise InputError("epoch", f"{epoch} is not possible", "1 or more")
        new, self._reported[epoch] = epoch not in self._reported, checked(miou)
        if new and epoch in self._setup.rungs and not self._goes_on(self.number, self._rung(epoch)):
            self.should_stop = True
        self._report("train", epoch, max(epoch, self._setup.recipe.epochs or 0))

    def result(self, miou: float | Scores, weights: nn.Module | None = None) -> TrialResult:
        """Make a result of the final mIoU, 0..1, and keep the weights where they are given.

        A NaN makes a failed trial.

        Raises:
            InputError: an mIoU that cannot be, or weights of another network.
        """
        if isinstance(miou, SupportsFloat) and math.isnan(miou):
            return self.failed("its mIoU is not a number")
        scores = miou if isinstance(miou, Scores) else Scores.told(checked(miou))
        if weights is not None:
            self._keep(weights)
        return TrialResult(
            state="complete",
            spec=self.spec,
            spec_id=self.spec.id,
            scores=scores,
            rungs=self._rungs,
            notes=(NOTE,),
            seconds=self._seconds,
        )

    def stopped(self) -> TrialResult:
        """Make a result of a training that was stopped at a rung."""
        last = self._rungs[-1]
        return TrialResult(
            state="stopped",
            reason=f"mIoU {percent(last.miou)} after {last.epochs} epochs; others were better there",
            spec=self.spec,
            spec_id=self.spec.id,
            rungs=self._rungs,
            notes=(NOTE,),
            seconds=self._seconds,
        )

    def failed(self, reason: str) -> TrialResult:
        """Make a result of a training that failed."""
        return TrialResult(state="failed", reason=reason, spec=self.spec, spec_id=self.spec.id, seconds=self._seconds)

    def _rung(self, epoch: int) -> Rung:
        steps = self._setup.recipe.steps_of(epoch, len(self._setup.splits.train))
        return Rung(steps=steps, epochs=epoch, miou=self._reported[epoch])

    @property
    def _rungs(self) -> tuple[Rung, ...]:
        there = (epoch for epoch in sorted(self._reported) if epoch in self._setup.rungs or not self._setup.rungs)
        return tuple(map(self._rung, there))

    @property
    def _seconds(self) -> dict[str, float]:
        return {"train": time.perf_counter() - self._begun}

    def _keep(self, weights: nn.Module) -> None:
        fresh = fresh_network(self.spec, len(self._setup.splits.train.classes), "none", self.seed)
        given = {name: tuple(tensor.shape) for name, tensor in weights.state_dict().items()}
        wanted = {name: tuple(tensor.shape) for name, tensor in fresh.state_dict().items()}
        if wanted != {name: shape for name, shape in given.items() if not name.startswith("auxiliary")}:
            raise InputError("weights", f"are not those of trial {self.number}'s network", "trial.network, trained")
        facts = WeightFacts(spec=self.spec.id, classes=self._setup.splits.train.classes)
        save_weights(weights, self.folder / WEIGHTS, facts)


def checked(miou: object) -> float:
    """Return an mIoU as a float. Raises InputError where it is none."""
    value = float(miou) if isinstance(miou, SupportsFloat) and not isinstance(miou, bool) else math.nan
    if not 0 <= value <= 1:
        raise InputError("miou", f"{miou!r} is not possible", "0 to 1; not in percent")
    return value


def check_objective(objective: object) -> None:
    """Raise InputError for what cannot be called with a network and its trial, before anything is measured."""
    wanted = "a function of a network and its trial that returns the mIoU, 0 to 1"
    if not callable(objective):
        raise InputError("objective", f"is a {type(objective).__name__}", wanted)
    with contextlib.suppress(ValueError):  # what is written in C may not tell what it takes
        signature = inspect.signature(objective)
        try:
            signature.bind(None, None)
        except TypeError as error:
            raise InputError("objective", f"cannot be called with two arguments: {error}", wanted) from None


Objective = Callable[[Network, OwnTrial], float | None]
"""Trains a network in place, by code of one's own, and returns its mIoU, 0..1; the trained weights are kept.

None says that it was stopped, as `OwnTrial.should_stop` asked for."""


@dataclass(frozen=True)
class OwnWork:
    """Work of an executor that measures as ever, and leaves training and scoring to an `Objective`."""

    setup: TrialSetup
    objective: Objective
    goes_on: GoesOn = always

    def __call__(self, task: Task, report: Report) -> TrialResult:
        """Run one stage; what the objective raises makes a failed trial, unless the machine is at fault."""
        if task.stage == "measure":
            return run(self.setup, task, report)
        make_folder(task.folder)
        trial = OwnTrial(task, self.setup, report, self.goes_on)
        report("train", 0, 1)
        try:
            miou = self.objective(trial.network, trial)
            if miou is None and trial.should_stop:
                return trial.stopped()
            if miou is None:
                raise InputError("objective", "returned None, and trial.should_stop was not true", "the mIoU, 0 to 1")
            return trial.result(miou, trial.network)
        except Exception as error:
            if isinstance(error, InputError | MachineError | MissingExtraError | WorkerError):
                raise
            if fault := machine_fault(error):
                raise fault from error
            write_atomic(task.folder / ERROR, "".join(traceback.format_exception(error)))
            there = Path(*task.folder.parts[-2:]) / ERROR  # in the study's folder, which may be moved
            return trial.failed(f"{type(error).__name__}: {one_line(error)}; its traceback is in {there}")
