"""The one meeting room: spec -> build -> count -> deploy -> measure -> gate -> train -> evaluate -> result.

A trial has two stages, `measure_trial` and `train_trial`, which may pause. They may run in different processes, as all
that the later one needs lies in the trial's folder. Nothing is trained that the gate refuses. A stage run again in its
folder keeps the latencies that were measured and resumes the training.
"""

import json
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segsearch.count.cost import count
from segsearch.data.dataset import Dataset, Splits
from segsearch.errors import (
    InputError,
    MachineError,
    MissingExtraError,
    UnfitError,
    WorkerError,
    machine_fault,
    one_line,
)
from segsearch.files import make_folder, write_atomic
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.models.auxiliary import Auxiliary
from segsearch.models.network import Network, build
from segsearch.models.pretrained import start_from
from segsearch.progress import Report, silent
from segsearch.remote.client import Worker
from segsearch.result import Decision, Rung, State, TrialResult
from segsearch.spec.network import NetworkSpec
from segsearch.study_files import CHECKPOINT, ERROR, LATENCY, MEMORY, WEIGHTS
from segsearch.timing import NetworkSubject, latency_of
from segsearch.training.distill import Teacher
from segsearch.training.evaluate import evaluate
from segsearch.training.loop import train
from segsearch.training.recipe import Recipe
from segsearch.training.scores import Scores
from segsearch.training.shipped import Shipped
from segsearch.training.weights import WeightFacts, save_weights

Gate = Callable[[int, int, Sequence[LatencyRecord], float | None], Decision]
"""Decides from params, macs, all measurements (none before the first), and the least latency of the reference network
that the study has seen, in milliseconds."""


@dataclass(frozen=True, kw_only=True)
class TrialSetup:
    """What all trials of a study share."""

    splits: Splits
    size_hw: tuple[int, int]
    recipe: Recipe
    gate: Gate
    device: str
    """Trains and scores."""
    under: Conditions
    """Of every latency."""
    worker: Worker | None = None
    """On the machine to measure on; default: this one."""
    teacher: Teacher | None = None
    """Whom the recipe's ``teacher`` names."""
    shipped: Shipped | None = None
    """How a trained network is scored beside float32."""
    rungs: tuple[int, ...] = ()
    """Epochs after which a training may pause; the validation images are scored there."""


def measure_trial(
    spec: NetworkSpec,
    setup: TrialSetup,
    folder: Path,
    *,
    seed: int,
    rest_ms: float | None = None,
    report: Report = silent,
) -> TrialResult:
    """Count and measure one network and ask the gate: it is ``passed``, ``rejected``, ``waiting`` or ``failed``.

    Args:
        spec: the network.
        setup: what all trials share.
        folder: of this trial; latencies that were measured in an earlier run are used.
        seed: of initial weights, batches and augmentation.
        rest_ms: for the gate, see `Gate`.
        report: told of every stage and step; may raise KeyboardInterrupt to stop.

    Raises:
        InputError: what is not this network's fault: a full disk, an unreadable image, weights that cannot be
            downloaded.
        MachineError: no disk space, memory or file handles left; the same trial can be tried again. One that is short
            of memory a second time has failed.
        MissingExtraError: the backend is not installed, or timm. WorkerError: the machine that measures is not there.
        KeyboardInterrupt: Ctrl-C, or ``report`` raised it; the folder can be taken up again.
    """

    def stage(trial: "_Trial") -> TrialResult:
        decision = trial.judged(rest_ms)
        return trial.result(VERDICTS[decision.verdict], decision.reason)

    return _guarded(_Trial(spec, setup, folder, seed, report), stage)


def train_trial(
    spec: NetworkSpec,
    setup: TrialSetup,
    folder: Path,
    *,
    seed: int,
    until: int | None = None,
    report: Report = silent,
) -> TrialResult:
    """Train one network up to an epoch, where it is ``paused``, or to the end, where it is scored: ``complete``.

    A training that was paused or stopped in this folder goes on; no step is taken twice. What was counted and measured
    is not in the result: `TrialResult.after` joins the two.

    Args:
        spec: the network.
        setup: what all trials share; the validation images are scored at each of its rungs that is passed.
        folder: of this trial.
        seed: of initial weights, batches and augmentation.
        until: epochs to pause after, one of the rungs; default: to the end.
        report: told of every stage and step; may raise KeyboardInterrupt to stop.

    Raises:
        as `measure_trial`.
    """

    def stage(trial: "_Trial") -> TrialResult:
        return trial.result("complete" if trial.trained(until) else "paused")

    return _guarded(_Trial(spec, setup, folder, seed, report), stage)


def run_trial(
    spec: NetworkSpec,
    setup: TrialSetup,
    folder: Path,
    *,
    seed: int,
    rest_ms: float | None = None,
    report: Report = silent,
) -> TrialResult:
    """Measure one network, then train and score it if the gate lets it pass; all as `measure_trial` says."""
    measured = measure_trial(spec, setup, folder, seed=seed, rest_ms=rest_ms, report=report)
    if measured.state != "passed":
        return measured
    return train_trial(spec, setup, folder, seed=seed, report=report).after(measured)


VERDICTS: dict[str, State] = {"train": "passed", "reject": "rejected", "wait": "waiting"}
"""What the gate's verdict makes of a trial that was measured."""


def _guarded(trial: "_Trial", stage: Callable[["_Trial"], TrialResult]) -> TrialResult:
    """Run a stage of a trial; what goes wrong with its network is a result too."""
    make_folder(trial.folder)
    try:
        return stage(trial)
    except Exception as error:  # diverged, out of GPU memory, unfit for the backend: the study learns and goes on
        blameless = (InputError, MachineError, MissingExtraError, WorkerError)
        if isinstance(error, blameless) and not isinstance(error, UnfitError):
            raise
        if (fault := machine_fault(error)) and not (fault.memory and _seen_before(trial.folder, fault)):
            raise fault from error
        trial.check_folder()
        write_atomic(trial.folder / ERROR, "".join(traceback.format_exception(error)))
        return trial.result("failed", f"{type(error).__name__}: {one_line(error)}")


def _seen_before(folder: Path, fault: MachineError) -> bool:
    """Whether this trial was short of memory before; if not, write it down. Twice means that it needs too much."""
    path = folder / MEMORY
    before = path.exists()
    write_atomic(path, f"{fault}\n")
    return before


def read_measurements(path: Path) -> list[LatencyRecord]:
    """Read all measurements of one network, in the order they were taken; none where the file is not there, or torn."""
    with suppress(OSError, ValueError, RecursionError, InputError):
        data = json.loads(path.read_text(encoding="utf-8"))
        # older versions kept one
        return [LatencyRecord.parse(each, path) for each in (data if isinstance(data, list) else [data])]
    return []


def write_measurements(path: Path, taken: Sequence[LatencyRecord]) -> None:
    """Write all measurements of one network. Raises InputError if the file cannot be written."""
    write_atomic(path, json.dumps([record.model_dump(mode="json") for record in taken]))


def fresh_network(spec: NetworkSpec, classes: int, auxiliary: Auxiliary, seed: int) -> Network:
    """Build a network whose initial weights depend on the seed alone; torch's global random state stays as it was."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return build(spec, classes, auxiliary)


class _Trial:
    """One network's way through the stages; ``facts`` grow into its result."""

    def __init__(self, spec: NetworkSpec, setup: TrialSetup, folder: Path, seed: int, report: Report) -> None:
        self.spec, self.setup, self.folder, self.seed, self.report = spec, setup, folder, seed, report
        self.facts: dict[str, Any] = {"spec": spec, "spec_id": spec.id, "seconds": {}}

    def result(self, state: State, reason: str | None = None) -> TrialResult:
        return TrialResult(state=state, reason=reason, **self.facts)

    def judged(self, rest_ms: float | None) -> Decision:
        """Count the network, and measure it where that, or what was measured before, does not settle the matter."""
        with self._stage("build"):
            network = self._build("none")
            cost = count(network, self.setup.size_hw)
        self.facts |= {"params": cost.params, "macs": cost.macs}

        def decide(taken: Sequence[LatencyRecord]) -> Decision:
            return self.setup.gate(cost.params, cost.macs, taken, rest_ms)

        decision = decide([])
        if decision.verdict == "reject":
            return decision
        path = self.folder / LATENCY
        taken = read_measurements(path)
        if not taken or decide(taken).verdict == "wait":
            with self._stage("measure"):
                taken = [*taken, self._measured(network)]
            self.check_folder()
            write_measurements(path, taken)
        decision = decide(taken)
        self.facts |= {"latency": decision.latency, "measurements": len(taken), "unsure": decision.unsure}
        return decision

    def trained(self, until: int | None) -> bool:
        """Train up to an epoch, or to the end and score; return whether the end was reached."""
        try:
            network, ended = self._train(until)
        except InputError as error:
            checkpoint = self.folder / CHECKPOINT
            # a full disk names the checkpoint, too, but knows no cure
            if error.place != str(checkpoint) or error.allowed is None:
                raise
            self.facts["notes"] = (f"trained again from the start: {error}",)
            checkpoint.unlink()
            network, ended = self._train(until)
        if ended:
            self.check_folder()
            facts = WeightFacts(spec=self.spec.id, classes=self.setup.splits.train.classes)
            save_weights(network, self.folder / WEIGHTS, facts)
            self._score(network)
        return ended

    def _train(self, until: int | None) -> tuple[Network, bool]:
        network, setup = self._build(self.setup.recipe.auxiliary), self.setup
        if setup.recipe.pretrained is not None:
            self.facts["pretrained"] = start_from(network.encoder, setup.recipe.pretrained, self.report)
        images = len(setup.splits.train)
        rungs = {setup.recipe.steps_of(epochs, images): epochs for epochs in setup.rungs}

        def score(step: int, network: nn.Module) -> float | None:
            self.report("evaluate", 0, 1)
            return evaluate(network, setup.splits.val, device=setup.device, report=self.report).miou

        with self._stage("train"):
            trained = train(
                network,
                setup.recipe,
                setup.splits.train,
                seed=self.seed,
                device=setup.device,
                channels_last=True,  # a tenth faster on processors, more on GPUs
                checkpoint=self.folder / CHECKPOINT,
                on_step=lambda step: self.report("train", step.done, step.total),
                score_at=rungs.keys(),
                score=score,
                teacher=setup.teacher,
                stop_at=None if until is None else setup.recipe.steps_of(until, images),
            )
        self.facts |= {"trained_iterations": trained.iterations, "final_loss": trained.final_loss}
        self.facts["rungs"] = tuple(
            Rung(steps=step, epochs=rungs.get(step), miou=miou)
            for step, miou in sorted(trained.scores.items())
            if miou is not None
        )
        self.facts["notes"] = (*self.facts.get("notes", ()), *trained.notes)
        self.facts["seconds"]["train"] = trained.seconds
        return network, trained.iterations == setup.recipe.total_steps(images)

    def _score(self, network: Network) -> None:
        setup, splits = self.setup, self.setup.splits

        def score(data: Dataset, shipped: Shipped | None) -> Scores:
            if shipped is not None:
                return shipped.scores(network, setup.size_hw, data, self.report)
            return evaluate(network, data, device=setup.device, report=self.report)

        with self._stage("evaluate"):
            self.facts["scores"] = score(splits.val, None)
            if setup.shipped is not None:
                self.facts["shipped_scores"] = score(splits.val, setup.shipped)
            if splits.report is not None:
                self.facts["report_scores"] = score(splits.report, setup.shipped)

    def check_folder(self) -> None:
        """Raise InputError where the folder was moved away: writing would make another one in its old place."""
        if not self.folder.is_dir():
            raise InputError(self.folder, "was moved or deleted while its trial ran")

    def _build(self, auxiliary: Auxiliary) -> Network:
        return fresh_network(self.spec, len(self.setup.splits.train.classes), auxiliary, self.seed)

    def _measured(self, network: Network) -> LatencyRecord:
        setup = self.setup
        subject = NetworkSubject(
            spec=self.spec, classes=network.classes, size_hw=setup.size_hw, label=self.spec.id, network=network
        )
        return latency_of(subject, setup.under, worker=setup.worker, report=lambda *_: self.report("measure", 0, 1))

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self.report(name, 0, 1)
        start = time.perf_counter()
        yield
        self.facts["seconds"][name] = time.perf_counter() - start
