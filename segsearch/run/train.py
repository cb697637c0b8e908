"""One training in a folder: begun, taken up again, or only shown; and what it would take."""

import copy
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from segsearch.artefacts.trained import find_teacher
from segsearch.data.dataset import Splits, fingerprint
from segsearch.data.filedataset import keep_out
from segsearch.data.open import open_data
from segsearch.data.survey import check_labels
from segsearch.errors import InputError
from segsearch.files import check_folder, make_folder, write_atomic
from segsearch.interrupt import stop_requests
from segsearch.lock import locked
from segsearch.measure.machine import device_name, find_device
from segsearch.measure.memory import memory_errors
from segsearch.models.network import Network
from segsearch.models.pretrained import IMAGENET, start_from
from segsearch.progress import Report, silent
from segsearch.provenance import commit, versions
from segsearch.run.course import BestWeights, Check, Course
from segsearch.run.folder import (
    BEST,
    LAST,
    METRICS,
    RunFile,
    RunResult,
    Training,
    begin,
    check_same,
    read_result,
    read_run,
    run_in,
)
from segsearch.run.metrics import BOARD, Board, Metrics
from segsearch.spec.network import check_size
from segsearch.study_files import CHECKPOINT, RESULT, WEIGHTS
from segsearch.training.distill import Teacher
from segsearch.training.evaluate import evaluate
from segsearch.training.loop import TrainResult, train
from segsearch.training.losses import auxiliary_losses
from segsearch.training.parallel import Team, joined
from segsearch.training.rehearse import Rehearsal, rehearse
from segsearch.training.weights import WeightFacts, read_weights, save_weights, start_with
from segsearch.trial import fresh_network

Note = Callable[[str], None]
"""Told a sentence."""
CHECKS = 10
"""Times that a run is scored, the last one when it is done."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run."""

    folder: Path
    file: RunFile
    result: RunResult


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A training with its data open and checked."""

    file: RunFile
    splits: Splits
    steps: int
    teacher: Teacher | None
    notes: tuple[str, ...]
    """What a person should know of the data, a sentence each."""

    @property
    def epochs(self) -> float:
        """Times that every training image is shown."""
        return self.steps * self.file.recipe.batch_size / len(self.splits.train)

    def network(self, report: Report = silent, note: Note = lambda line: None) -> tuple[Network, str | None]:
        """Build the network as the training begins with it, and say which file its first weights are from.

        Raises:
            InputError: a file of weights cannot be had, or is not for this network, its classes, or its encoder.
            MissingExtraError: nor its package.
        """
        file, wanted = self.file, self.file.recipe.pretrained
        network = fresh_network(file.spec, len(file.classes), file.recipe.auxiliary, file.seed)
        auxiliary_losses(file.recipe, len(network.auxiliary))
        if file.weights is not None:
            path = Path(file.weights.file)
            for line in start_with(network, path, file.classes, reset_head=file.weights.reset_head):
                note(line)
            return network, f"{path.name}#{file.weights.sha256[:12]}"
        if wanted is None:
            return network, None
        found = start_from(network.encoder, wanted, report)
        if found is None and wanted != IMAGENET:
            raise InputError("recipe.pretrained", f"{wanted} does not fit the encoder of {file.name}")
        if found is None:
            note("no published ImageNet weights are of this encoder, which begins with fresh ones")
        return network, found


def prepare(training: Training, report: Report = silent) -> Ready:
    """Check everything that can be checked before the first step, and open the data.

    ``report`` is told of the files that are looked at.

    Raises:
        InputError: images or crops too small for the network, crops that no image fills, data that cannot be used, or a
            teacher that is none or is for other classes.
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
    splits = open_data(training.data, report=report)
    notes = check_labels(splits, report)
    teacher = find_teacher(recipe, splits.train.classes)
    return Ready(
        file=RunFile(
            **dict(training),
            classes=splits.train.classes,
            content=fingerprint(splits),
            teacher=None if teacher is None else teacher.sha256,
            hardware=device_name(device),
            commit=commit(),
            versions=versions(),
        ),
        splits=splits,
        steps=recipe.total_steps(len(splits.train)),
        teacher=teacher,
        notes=notes,
    )


def rehearse_run(training: Training, *, compiled: bool = False, report: Report = silent) -> tuple[Ready, Rehearsal]:
    """Train a few steps, to tell how long all would take. Nothing is written. Raises as `prepare` and `rehearse`."""
    ready = prepare(training, report)
    network, _ = ready.network(report)
    return ready, rehearse(
        network, training.recipe, ready.splits.train, training.device, teacher=ready.teacher, compiled=compiled
    )


def train_run(
    training: Training,
    folder: Path,
    *,
    compiled: bool = False,
    tensorboard: bool = False,
    report: Report = silent,
    checked: Callable[[Check], None] = lambda check: None,
    note: Note = lambda line: None,
) -> Run:
    """Train a network in a folder, go on with the training that lies there, or return it where it is finished.

    The first SIGINT or SIGTERM ends the step, saves and interrupts; a second one interrupts at once. Where torchrun
    started several processes, they train together; the first one alone writes, scores, and tells anything.

    Args:
        training: what to do.
        folder: made if missing; see `segsearch.run.folder` for what it holds in the end.
        compiled: run the steps through torch.compile; the same run may go on with or without it.
        tensorboard: write event files for it, too, in a folder of the run.
        report: told of files that are looked at first, of every step, with the loss and the last mIoU, and of every
            image scored at the end.
        checked: told each time that the network is scored, about ten times.
        note: told in sentences what to know of the data, and what went otherwise than planned.

    Raises:
        InputError: as `prepare`; the folder holds another run or something else, or is in use; a damaged checkpoint;
            torch.compile failed.
        DeviceError: as `prepare`, or the device's memory is too small.
        MissingExtraError: tensorboard is to be written, and is not installed.
        DivergedError: the loss is no longer a number.
        KeyboardInterrupt: let through, after the checkpoint.
    """
    before = run_in(folder)
    if before is not None:
        check_same(before, training, folder)
        if (result := read_result(folder)) is not None and not _to_save_again(folder, note):
            _check_content(before, training, folder, note)
            return Run(folder=folder, file=before, result=result)
    check_folder(folder)
    board = Board(folder / BOARD) if tensorboard else None
    with joined(training.device) as (team, device):
        if not team.leads:
            report, checked, note = silent, lambda check: None, lambda line: None
        ready = prepare(training, report)
        keep_out(folder, (data for _, data in ready.splits.parts()))
        for line in ready.notes:
            note(line)
        network, pretrained = ready.network(report, note)
        if team.leads:
            make_folder(folder)
        team.wait()
        metrics = Metrics(folder / METRICS, ready.epochs / ready.steps, board)
        with locked(folder, "training there") if team.leads else nullcontext(), closing(metrics):
            if team.leads:
                begin(folder, ready.file)
            facts = WeightFacts(point=ready.file.name, spec=ready.file.spec.id, classes=ready.file.classes)
            best = BestWeights(folder / BEST, facts)
            course = Course(ready.file, ready.splits.val, ready.steps, metrics, best, report, checked)
            if compiled:
                note("torch.compile works on the first step, which takes a minute or more")
            trained = _trained(ready, network, folder, course, note, team, device, compiled)
            if team.leads:
                result = _scored(ready, network, folder, trained, course, facts, report)
                write_atomic(folder / RESULT, result.model_copy(update={"pretrained": pretrained}).lines())
        team.wait()
    file, found = read_run(folder), read_result(folder)
    assert found is not None, "just written"
    return Run(folder=folder, file=file, result=found)


def _to_save_again(folder: Path, note: Note) -> bool:
    """Say whether a finished run's weights are gone or damaged, and can be made again from its checkpoint."""
    try:
        read_weights(folder / WEIGHTS)
    except InputError as error:
        if (folder / CHECKPOINT).is_file():
            note(f"{error}; it is written again from the checkpoint")
            return True
        note(f"{error}; and there is no checkpoint to make it from: train it again in another folder")
    return False


def _check_content(before: RunFile, training: Training, folder: Path, note: Note) -> None:
    """Raise InputError where a finished run learnt other data, or from another teacher; a run outlives its data."""
    try:
        splits = open_data(training.data, check=False)
        teacher = find_teacher(training.recipe, splits.train.classes)
        held = {"content": fingerprint(splits), "teacher": None if teacher is None else teacher.sha256}
    except InputError as error:
        note(f"this run is finished; whether its data has changed since cannot be told: {error}")
    else:
        check_same(before, before.model_copy(update=held), folder)


def _trained(
    ready: Ready,
    network: Network,
    folder: Path,
    course: Course,
    note: Note,
    team: Team,
    device: str,
    compiled: bool,
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
            teacher=ready.teacher,
            compiled=compiled,
            team=team,
        )
    for line in trained.notes:
        note(line)
    return trained


def _scored(
    ready: Ready,
    network: Network,
    folder: Path,
    trained: TrainResult,
    course: Course,
    facts: WeightFacts,
    report: Report,
) -> RunResult:
    """Save the weights and score them."""
    file, splits = ready.file, ready.splits
    save_weights(network, folder / WEIGHTS, facts)
    if trained.last is not None:
        last = copy.deepcopy(network)
        last.load_state_dict(trained.last)
        save_weights(last, folder / LAST, facts)
    data = {part: data for part, data in splits.parts() if part != "train"}
    shipped = {}
    if file.shipped is not None:
        shipped = {part: file.shipped.scores(network, file.data.size, each, report) for part, each in data.items()}
    scores = {
        part: evaluate(network, each, device=file.device, report=report)
        for part, each in data.items()
        if part not in shipped or part == "val"
    }
    return RunResult(
        scores=scores["val"],
        shipped_scores=shipped.get("val"),
        report_scores=(shipped or scores).get("report"),
        steps=trained.iterations,
        final_loss=trained.final_loss,
        seconds=trained.seconds,
        best=course.take(ready.steps, network, scores["val"]),
        notes=trained.notes,
    )
