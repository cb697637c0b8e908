"""The one meeting room: spec -> build -> count -> deploy -> measure -> gate -> train -> evaluate -> result.

What costs nothing comes first, and nothing is trained that the gate refuses. A trial run again in its folder keeps the
latency that was measured and resumes the training.
"""

import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from segsearch.result import TrialResult
from segsearch.spec.network import NetworkSpec
from segsearch.study_files import CHECKPOINT, ERROR, LATENCY, MEMORY, WEIGHTS
from segsearch.train.evaluate import evaluate
from segsearch.train.loop import train
from segsearch.train.recipe import Recipe
from segsearch.train.weights import save_weights

Gate = Callable[[int, int, float | None], str | None]
"""From params, macs and latency_ms (None before it is measured) to the reason for not training, if there is one."""


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
    """On the machine to measure on; this one without."""


def run_trial(spec: NetworkSpec, setup: TrialSetup, folder: Path, *, seed: int, report: Report = silent) -> TrialResult:
    """Measure one network, then train and score it if the gate lets it pass; what goes wrong with it is a result too.

    ``report`` is told of every stage and step, and may raise KeyboardInterrupt to stop.

    Raises:
        InputError: what is not this network's fault: a full disk, an unreadable image, weights that cannot be
            downloaded.
        MachineError: no disk space, memory or file handles left; the same trial can be tried again. One that is short
            of memory a second time has failed.
        MissingExtraError: the backend is not installed, or timm. WorkerError: the machine that measures is not there.
        KeyboardInterrupt: Ctrl-C, or ``report`` raised it; the folder can be taken up again.

    """
    make_folder(folder)
    trial = _Trial(spec, setup, folder, seed, report)
    try:
        reason = trial.refusal()
        if reason is None:
            trial.train_and_score()
        return TrialResult(state="rejected" if reason else "complete", reason=reason, **trial.facts)
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


class _Trial:
    """One network's way through the stages; ``facts`` grow into its result."""

    def __init__(self, spec: NetworkSpec, setup: TrialSetup, folder: Path, seed: int, report: Report) -> None:
        self.spec, self.setup, self.folder, self.seed, self.report = spec, setup, folder, seed, report
        self.facts: dict[str, Any] = {"spec": spec, "spec_id": spec.id, "seconds": {}}

    def refusal(self) -> str | None:
        with self._stage("build"):
            network = self._build("none")
            cost = count(network, self.setup.size_hw)
        self.facts |= {"params": cost.params, "macs": cost.macs}
        if reason := self.setup.gate(cost.params, cost.macs, None):
            return reason
        with self._stage("measure"):
            latency = self.facts["latency"] = self._latency(network)
        return self._refused(latency)

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
            )
        self.facts |= {"trained_iterations": trained.iterations, "final_loss": trained.final_loss}
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
        with torch.random.fork_rng([]):
            torch.manual_seed(self.seed)
            return build(self.spec, len(self.setup.splits.train.classes), auxiliary)

    def _latency(self, network: Network) -> LatencyRecord:
        """Measure the network as it would be deployed, once: a trial taken up again reads what was measured."""
        path = self.folder / LATENCY
        with suppress(OSError, ValueError, InputError):  # not there, or not whole
            return LatencyRecord.parse(json.loads(path.read_text(encoding="utf-8")), path)
        record = self._measured(network)
        if not record.steady and self._refused(record):
            # somebody else's load must not cost a network its training: the better of two counts
            record = min(record, self._measured(network), key=lambda r: r.median_ms)
        self.check_folder()
        write_atomic(path, json.dumps(record.model_dump(mode="json")))
        return record

    def _refused(self, latency: LatencyRecord) -> str | None:
        return self.setup.gate(self.facts["params"], self.facts["macs"], latency.median_ms)

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
