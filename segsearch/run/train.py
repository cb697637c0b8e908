"""One training in a folder: begun, taken up again, or only shown; and what it would take."""

import copy
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from segsearch.data.dataset import Splits
from segsearch.data.fingerprint import fingerprint
from segsearch.data.open import open_data
from segsearch.data.survey import check_labels
from segsearch.errors import InputError
from segsearch.files import make_folder, write_atomic
from segsearch.interrupt import stop_requests
from segsearch.lock import locked
from segsearch.measure.machine import device_name, find_device
from segsearch.measure.memory import memory_errors
from segsearch.models.network import Network
from segsearch.models.pretrained import IMAGENET, start_from
from segsearch.progress import Report, silent
from segsearch.provenance import commit, versions
from segsearch.run.folder import (
    LAST,
    METRICS,
    RunFile,
    RunResult,
    Training,
    begin,
    check_same,
    held,
    read_result,
    read_run,
)
from segsearch.run.metrics import Metrics
from segsearch.spec.network import check_size
from segsearch.study_files import CHECKPOINT, RESULT, WEIGHTS
from segsearch.train.evaluate import evaluate
from segsearch.train.loop import TrainResult, train
from segsearch.train.parallel import Team, joined
from segsearch.train.rehearse import Rehearsal, rehearse
from segsearch.train.session import Step
from segsearch.train.weights import save_weights
from segsearch.trial import fresh_network

CHECKS = 10
"""Times that a run is scored, the last one when it is done."""
MUCH_WAITING = 0.05
"""From this share of a step on, it is told how long steps wait for data."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run."""

    folder: Path
    file: RunFile
    result: RunResult


@dataclass(frozen=True, kw_only=True)
class Check:
    """Where a run stands when it is scored."""

    step: int
    total: int
    loss: float | None
    """Mean of the last steps'; None before the first one of this session."""
    miou: float
    seconds_left: float


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A training with its data open and checked."""

    file: RunFile
    splits: Splits
    steps: int
    notes: tuple[str, ...]
    """What a person should know of the data, a sentence each."""

    @property
    def epochs(self) -> float:
        """Times that every training image is shown."""
        return self.steps * self.file.recipe.batch_size / len(self.splits.train)

    def network(self, report: Report = silent) -> tuple[Network, str | None]:
        """Build the network as the training begins with it, and say which file its encoder's weights are from.

        Raises:
            InputError: a file of weights cannot be had, or is not for this encoder. MissingExtraError: nor its package.
        """
        file, wanted = self.file, self.file.recipe.pretrained
        network = fresh_network(file.spec, len(file.classes), file.recipe.auxiliary, file.seed)
        if wanted is None:
            return network, None
        found = start_from(network.encoder, wanted, report)
        if found is None and wanted != IMAGENET:
            raise InputError("recipe.pretrained", f"{wanted} does not fit the encoder of {file.name}")
        return network, found


def prepare(training: Training) -> Ready:
    """Check everything that can be checked before the first step, and open the data.

    Raises:
        InputError: images or crops too small for the network, crops that no image fills, or data that cannot be used.
        DeviceError: the device is not here.
    """
    recipe, size_hw = training.recipe, training.data.size
    device = find_device(training.device)
    check_size(training.spec, size_hw, "--size")
    if recipe.crop is not None:
        check_size(training.spec, recipe.crop, "recipe.crop")
        if any(side > recipe.scale[1] * whole for side, whole in zip(recipe.crop, size_hw, strict=True)):
            crop, whole = ("{}x{}".format(*size) for size in (recipe.crop, size_hw))
            problem = f"{crop} is larger than the images, {whole}, even magnified by {recipe.scale[1]:g}"
            raise InputError("recipe.crop", problem, "a larger --size, or a recipe with a smaller crop")
    splits = open_data(training.data)
    notes = check_labels(splits)
    return Ready(
        file=RunFile(
            **dict(training),
            classes=splits.train.classes,
            content=fingerprint(splits),
            hardware=device_name(device),
            commit=commit(),
            versions=versions(),
        ),
        splits=splits,
        steps=recipe.total_steps(len(splits.train)),
        notes=notes,
    )


def rehearse_run(training: Training) -> tuple[Ready, Rehearsal]:
    """Train a few steps, to tell how long all would take. Nothing is written. Raises as `prepare` and `rehearse`."""
    ready = prepare(training)
    return ready, rehearse(ready.network()[0], training.recipe, ready.splits.train, training.device)


def train_run(
    training: Training,
    folder: Path,
    *,
    report: Report = silent,
    checked: Callable[[Check], None] = lambda check: None,
    note: Callable[[str], None] = lambda line: None,
) -> Run:
    """Train a network in a folder, go on with the training that lies there, or return it where it is finished.

    The first SIGINT or SIGTERM ends the step, saves and interrupts; a second one interrupts at once. Where torchrun
    started several processes, they train together; the first one alone writes, scores, and tells anything.

    Args:
        training: what to do.
        folder: made if missing; see `segsearch.run.folder` for what it holds in the end.
        report: told of every step, with the loss and the last mIoU, and of every image scored at the end.
        checked: told each time that the network is scored, about ten times.
        note: told in sentences what to know of the data, and what went otherwise than planned.

    Raises:
        InputError: as `prepare`; the folder holds another run or something else, or is in use; a damaged checkpoint.
        DeviceError: as `prepare`, or the device's memory is too small.
        DivergedError: the loss is no longer a number.
        KeyboardInterrupt: let through, after the checkpoint.
    """
    before = held(folder)
    if before is not None:
        check_same(before, training, folder)
        if (result := read_result(folder)) is not None:
            return Run(folder=folder, file=before, result=result)
    with joined(training.device) as (team, device):
        if not team.leads:
            report, checked, note = silent, lambda check: None, lambda line: None
        ready = prepare(training)
        network, pretrained = ready.network(report)
        for line in ready.notes:
            note(line)
        if training.recipe.pretrained is not None and pretrained is None:
            note("no published ImageNet weights are of this encoder, which begins with fresh ones")
        if team.leads:
            make_folder(folder)
        team.wait()
        with locked(folder, "training there") if team.leads else nullcontext():
            if team.leads:
                begin(folder, ready.file)
            course = _Course(ready, Metrics(folder / METRICS, ready.epochs / ready.steps), report, checked)
            trained = _trained(ready, network, folder, course, note, team, device)
            if team.leads:
                result = _scored(ready, network, folder, trained, course, report)
                write_atomic(folder / RESULT, result.model_copy(update={"pretrained": pretrained}).lines())
        team.wait()
    file, found = read_run(folder), read_result(folder)
    assert found is not None, "just written"
    return Run(folder=folder, file=file, result=found)


def _trained(
    ready: Ready,
    network: Network,
    folder: Path,
    course: "_Course",
    note: Callable[[str], None],
    team: Team,
    device: str,
) -> TrainResult:
    with stop_requests(note) as course.stop, memory_errors(find_device(device)), team.guarded(course.stop):
        trained = train(
            network,
            ready.file.recipe,
            ready.splits.train,
            seed=ready.file.seed,
            device=device,
            checkpoint=folder / CHECKPOINT,
            channels_last=True,
            on_step=course.step if team.leads else course.end_if_asked,
            score_at=sorted({round(ready.steps * k / CHECKS) for k in range(1, CHECKS)} - {0, ready.steps}),
            score=course.score,
            team=team,
        )
    for line in trained.notes:
        note(line)
    return trained


def _scored(
    ready: Ready, network: Network, folder: Path, trained: TrainResult, course: "_Course", report: Report
) -> RunResult:
    """Save the weights and score them."""
    file, splits = ready.file, ready.splits
    facts = {"spec": file.spec.id, "point": file.name}
    save_weights(network, folder / WEIGHTS, facts)
    if trained.last is not None:
        last = copy.deepcopy(network)
        last.load_state_dict(trained.last)
        save_weights(last, folder / LAST, facts)
    scores = {
        part: evaluate(network, data, device=file.device, report=report)
        for part, data in splits.parts()
        if part != "train"
    }
    course.metrics.check(ready.steps, scores["val"])
    return RunResult(
        scores=scores["val"],
        report_scores=scores.get("report"),
        steps=trained.iterations,
        final_loss=trained.final_loss,
        seconds=trained.seconds,
        notes=trained.notes,
    )


class _Course:
    """Follows a training: notes its metrics, tells where it stands, and ends it where that was asked for."""

    def __init__(self, ready: Ready, metrics: Metrics, report: Report, checked: Callable[[Check], None]) -> None:
        self.metrics = metrics
        self.stop: Callable[[], bool] = bool  # nobody has asked yet
        self._ready, self._report, self._checked = ready, report, checked
        self._begun, self._steps, self._miou = time.perf_counter(), 0, ""
        self._loss: float | None = None
        self._waited = 0.0

    def step(self, step: Step) -> None:
        """Take a finished step."""
        self._steps += 1
        self._loss = step.loss if self._loss is None else 0.9 * self._loss + 0.1 * step.loss
        self._waited = 0.9 * self._waited + 0.1 * step.waited
        waits = f", {100 * self._waited:.0f} % of the time waiting for data" if self._waited > MUCH_WAITING else ""
        self.metrics.step(step)
        self._report(f"loss {self._loss:.3f}{self._miou}{waits}", step.done, step.total)
        self.end_if_asked()

    def score(self, step: int, network: nn.Module) -> float:
        """Score the weights that would be delivered now; return their mIoU."""
        file = self._ready.file
        scores = evaluate(network, self._ready.splits.val, device=file.device, report=self.end_if_asked)
        self.metrics.check(step, scores)
        self._miou = f", mIoU {100 * scores.miou:.1f} %"
        left, total = self._ready.steps - step, self._ready.steps
        seconds = (time.perf_counter() - self._begun) / max(1, self._steps) * left
        self._checked(Check(step=step, total=total, loss=self._loss, miou=scores.miou, seconds_left=seconds))
        return scores.miou

    def end_if_asked(self, *_: object) -> None:
        if self.stop():
            raise KeyboardInterrupt  # the loop saves first
