"""The one meeting room: spec -> build -> count -> deploy -> measure -> gate -> train -> evaluate -> result.

What costs nothing comes first, and nothing is trained that the gate refuses. A trial run again in its folder keeps the
latencies that were measured and resumes the training.
"""

import json
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from segsearch.count.cost import count
from segsearch.data.dataset import Splits
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
from segsearch.latency import NetworkSubject, latency_of
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.models.auxiliary import Auxiliary
from segsearch.models.build import build
from segsearch.models.network import Network
from segsearch.models.pretrained import start_from
from segsearch.progress import Report, silent
from segsearch.remote.client import Worker
from segsearch.result import Decision, Rung, TrialResult
from segsearch.spec.network import NetworkSpec
from segsearch.study_files import CHECKPOINT, ERROR, LATENCY, MEMORY, WEIGHTS
from segsearch.train.evaluate import evaluate
from segsearch.train.loop import train
from segsearch.train.recipe import Recipe
from segsearch.train.weights import save_weights

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
    rungs: tuple[float, ...] = ()
    """Shares of the training after which the validation images are scored, too."""


def run_trial(
    spec: NetworkSpec,
    setup: TrialSetup,
    folder: Path,
    *,
    seed: int,
    rest_ms: float | None = None,
    report: Report = silent,
) -> TrialResult:
    """Measure one network, then train and score it if the gate lets it pass; what goes wrong with it is a result too.

    Args:
        spec: the network.
        setup: what all trials share.
        folder: of this trial; what an earlier run left there is used.
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
    make_folder(folder)
    trial = _Trial(spec, setup, folder, seed, rest_ms, report)
    try:
        decision = trial.judged()
        if decision.verdict == "train":
            trial.train_and_score()
            return TrialResult(state="complete", **trial.facts)
        state: Literal["rejected", "waiting"] = "rejected" if decision.verdict == "reject" else "waiting"
        return TrialResult(state=state, reason=decision.reason, **trial.facts)
    except Exception as error:  # diverged, out of GPU memory, unfit for the backend: the study learns and goes on
        blameless = (InputError, MachineError, MissingExtraError, WorkerError)
        if isinstance(error, blameless) and not isinstance(error, UnfitError):
            raise
        if (fault := machine_fault(error)) and not (fault.memory and _seen_before(folder, fault)):
            raise fault from error
        return _failed(trial, folder, error)


def _seen_before(folder: Path, fault: MachineError) -> bool:
    """Whether this trial was short of memory before; if not, write it down. Twice means that it needs too much."""
    path = folder / MEMORY
    before = path.exists()
    write_atomic(path, f"{fault}\n")
    return before


def _failed(trial: "_Trial", folder: Path, error: Exception) -> TrialResult:
    trial.check_folder()
    write_atomic(folder / ERROR, "".join(traceback.format_exception(error)))
    return TrialResult(state="failed", reason=f"{type(error).__name__}: {one_line(error)}", **trial.facts)


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

    def __init__(
        self, spec: NetworkSpec, setup: TrialSetup, folder: Path, seed: int, rest_ms: float | None, report: Report
    ) -> None:
        self.spec, self.setup, self.folder, self.seed, self.report = spec, setup, folder, seed, report
        self._rest_ms = rest_ms
        self.facts: dict[str, Any] = {"spec": spec, "spec_id": spec.id, "seconds": {}}

    def judged(self) -> Decision:
        """Count the network, and measure it where that, or what was measured before, does not settle the matter."""
        with self._stage("build"):
            network = self._build("none")
            cost = count(network, self.setup.size_hw)
        self.facts |= {"params": cost.params, "macs": cost.macs}
        decision = self._decision([])
        if decision.verdict == "reject":
            return decision
        path = self.folder / LATENCY
        taken = read_measurements(path)
        if not taken or self._decision(taken).verdict == "wait":
            with self._stage("measure"):
                taken = [*taken, self._measured(network)]
            self.check_folder()
            write_measurements(path, taken)
        decision = self._decision(taken)
        self.facts |= {"latency": decision.latency, "measurements": len(taken), "unsure": decision.unsure}
        return decision

    def train_and_score(self) -> None:
        try:
            self._train_and_score()
        except InputError as error:
            checkpoint = self.folder / CHECKPOINT
            # a full disk names the checkpoint, too, but knows no cure
            if error.place != str(checkpoint) or error.allowed is None:
                raise
            self.facts["notes"] = (f"trained again from the start: {error}",)
            checkpoint.unlink()
            self._train_and_score()

    def _train_and_score(self) -> None:
        network, setup = self._build(self.setup.recipe.auxiliary), self.setup
        if setup.recipe.pretrained is not None:
            self.facts["pretrained"] = start_from(network.encoder, setup.recipe.pretrained, self.report)
        steps = setup.recipe.total_steps(len(setup.splits.train))
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
                score_at={max(1, round(share * steps)) for share in setup.rungs},
                score=lambda step, network: evaluate(network, setup.splits.val, device=setup.device).miou,
            )
        self.facts |= {"trained_iterations": trained.iterations, "final_loss": trained.final_loss}
        rungs = [Rung(steps=step, miou=miou) for step, miou in sorted(trained.scores.items()) if miou is not None]
        self.facts["rungs"] = tuple(rungs)
        self.facts["notes"] = (*self.facts.get("notes", ()), *trained.notes)
        self.facts["seconds"]["train"] = trained.seconds
        self.check_folder()
        save_weights(network, self.folder / WEIGHTS, {"spec": self.spec.id})
        with self._stage("evaluate"):
            self.facts["scores"] = evaluate(network, setup.splits.val, device=setup.device, report=self.report)
            if setup.splits.report is not None:
                self.facts["report_scores"] = evaluate(
                    network, setup.splits.report, device=setup.device, report=self.report
                )

    def check_folder(self) -> None:
        """Raise InputError where the folder was moved away: writing would make another one in its old place."""
        if not self.folder.is_dir():
            raise InputError(self.folder, "was moved or deleted while its trial ran")

    def _build(self, auxiliary: Auxiliary) -> Network:
        return fresh_network(self.spec, len(self.setup.splits.train.classes), auxiliary, self.seed)

    def _decision(self, taken: Sequence[LatencyRecord]) -> Decision:
        return self.setup.gate(self.facts["params"], self.facts["macs"], taken, self._rest_ms)

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
