"""A study made ready: its space narrowed, its points checked, its data open, its device proven to be there."""

import dataclasses
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import psutil
import torch

from segsearch import __version__
from segsearch.artefacts.trained import find_teacher
from segsearch.data.dataset import fingerprint
from segsearch.data.filedataset import keep_out
from segsearch.data.open import open_data
from segsearch.data.survey import check_labels
from segsearch.deployment.lint_rules import OPSET
from segsearch.engine.executors.base import Task
from segsearch.engine.warm import Warm, kept_warm, warmed
from segsearch.errors import InputError
from segsearch.files import check_folder, expanded
from segsearch.measure.backends.table import FILE_BACKENDS, file_backend, ready_backend
from segsearch.measure.conditions import Conditions
from segsearch.measure.machine import device_name, find_device
from segsearch.measure.memory import counts_memory
from segsearch.models.pretrained import IMAGENET, check_fits, check_installed
from segsearch.models.timm_encoder import word_of
from segsearch.named import read_point
from segsearch.progress import Report
from segsearch.remote.access import Address, need_token
from segsearch.remote.client import Worker, check_offer
from segsearch.result import TrialResult
from segsearch.samplers.proposals import GivenPoint, Proposer
from segsearch.samplers.sampler import uniform
from segsearch.samplers.shortlist import Shortlist
from segsearch.space.families.timm import expand_values
from segsearch.space.load import load_space, narrow
from segsearch.space.lower import encoders, lower
from segsearch.space.nodes import Space
from segsearch.space.points import NamedPoint, named_points
from segsearch.study.config import StudyConfig
from segsearch.study.gate import gate
from segsearch.study.identity import StudyFile, given_weights
from segsearch.study.machines import Remote
from segsearch.study.record import TrialRecord
from segsearch.study.trials import Trials
from segsearch.trial import TrialSetup, measure_trial, train_trial

TRIED_POINTS = 50
"""Points drawn to see that a space is one of networks."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What every trial and every proposal of one study needs."""

    config: StudyConfig
    space: Space
    """Narrowed as the study asks."""
    named: tuple[NamedPoint | GivenPoint, ...]
    setup: TrialSetup
    file: StudyFile
    warm: Warm
    """What earlier studies teach it."""
    notes: tuple[str, ...]
    """What a person should know of the data, a sentence each."""

    def proposer(self, shortlist: Shortlist | None = None, trials: Trials | None = None) -> Proposer:
        """One that knows the trials, by default none; it measures networks before it chooses if it has a shortlist."""
        config = self.config
        proposer = Proposer(
            self.space,
            self.named,
            budget=config.budget,
            size_hw=self.setup.size_hw,
            seed=config.seed,
            sampler=config.sampler,
            startup=config.drawn_first,
            rungs=config.rungs,
            shortlist=shortlist,
        )
        self.warm.teach(proposer)
        trials = trials or Trials([], [])
        for trial in trials.in_order:
            proposer.began(trial)
            if isinstance(trial, TrialRecord):
                proposer.ended(trial)
            elif (begun := trials.begun[trial.number]).state == "paused" and begun.result is not None:
                proposer.scored(trial.number, begun.result)
        return proposer


def prepare(config: StudyConfig, target: "Target | None" = None, folder: Path | None = None) -> Study:
    """Check everything that can be checked before the first trial, and open the data.

    Args:
        config: what to search.
        target: what latency is measured on; default: the device that the study names, here or at its worker.
        folder: where the study lies, or will.

    Raises:
        InputError: an unknown space, choice, point or data set, labels of a split that show no class, or a folder that
            cannot be, or that the data is read from.
        DeviceError: the device is not here, or the worker that is to measure cannot be reached.
        MissingExtraError: the backend, or a package with ImageNet weights, is not installed.
    """
    if folder is not None:
        check_folder(folder)
    space = narrow(load_space(config.space), expand_values(config.narrow, word_of))
    _check_lowers(space, config.space)
    named = _named(config)
    target = target or target_here(config)
    _check_batch(config)
    _check_file(config.recipe.pretrained)
    setup = dataclasses.replace(set_up_training(config), worker=target.worker)
    if folder is not None:
        keep_out(folder, (data for _, data in setup.splits.parts()))
    _check_rungs(config, len(setup.splits.train))
    file = StudyFile(
        segsearch=__version__,
        config=config,
        space_id=space.id,
        device=target.device,
        threads=target.threads,
        content=content_of(setup),
    )
    notes = check_labels(setup.splits)
    warm = kept_warm(config, folder) or warmed(config, file, space, folder)
    known = {point.spec.id: point for point in named}  # a paper's point keeps its name
    named = (*(known.get(point.spec.id, point) for point in warm.points), *named)
    _check_weights(config.recipe.pretrained, named, space)
    return Study(config=config, space=space, named=named, setup=setup, file=file, warm=warm, notes=notes)


def content_of(setup: TrialSetup) -> dict[str, str]:
    """Describe what the files hold that a study trains on and begins with: see `StudyFile.content`."""
    teacher = None if setup.teacher is None else setup.teacher.sha256
    return fingerprint(setup.splits) | given_weights(setup.recipe, teacher)


def set_up_training(config: StudyConfig) -> TrialSetup:
    """Do what `set_up` does, and find the teacher that the recipe names. Raises InputError where one cannot be had."""
    setup = set_up(config)
    return dataclasses.replace(setup, teacher=find_teacher(config.recipe, setup.splits.train.classes))


def set_up(config: StudyConfig) -> TrialSetup:
    """Open the data and gather what all trials share. Raises InputError if the data cannot be opened."""
    root = getattr(config.data, "root", None)
    if root is not None and not expanded(root).exists():
        cure = "a path, relative to the study's file where it stands there; --root PATH for data that was moved"
        raise InputError(expanded(root).absolute(), "no such file or folder of data", cure)
    return TrialSetup(
        splits=open_data(config.data),
        size_hw=config.data.size,
        recipe=config.recipe,
        gate=partial(gate, config.budget),
        device=config.device,
        under=_conditions(config),
        rungs=config.rungs,
        shipped=config.shipped,
    )


def _conditions(config: StudyConfig) -> Conditions:
    device = config.remote.device if config.remote else config.device
    return Conditions(
        device=device,
        backend=config.backend,
        precision=config.precision,
        threads=config.threads,
        timer=config.timer,
    )


def run(setup: TrialSetup, task: Task, report: Report) -> TrialResult:
    """Run one stage of a trial here; with ``setup`` bound by `functools.partial`, the work of an executor."""
    if task.stage == "measure":
        return measure_trial(task.spec, setup, task.folder, seed=task.seed, rest_ms=task.rest_ms, report=report)
    return train_trial(task.spec, setup, task.folder, seed=task.seed, until=task.until, report=report)


def _check_lowers(space: Space, place: str) -> None:
    """Draw points of what may be somebody's own space. Raises InputError where one of them stands for no network."""
    if not space.size:
        raise InputError(place, "has a word without values, so that a search can propose nothing")
    for seed in range(TRIED_POINTS):
        try:
            lower(uniform(space, seed))
        except InputError as error:
            raise InputError(place, f"holds a point that is no network: {error}") from error


def _check_batch(config: StudyConfig) -> None:
    """Raise InputError where one batch of images alone is larger than this machine's memory."""
    height, width = config.recipe.crop or config.data.size
    needed, there = 12 * config.recipe.batch_size * height * width, psutil.virtual_memory().total
    if needed > there:
        batch = f"{config.recipe.batch_size} images of {height}x{width} are {needed / 1e9:.1f} GB"
        raise InputError("recipe.batch_size", f"{batch}, and this machine has {there / 1e9:.1f} GB of memory")


def _check_rungs(config: StudyConfig, images: int) -> None:
    """Raise InputError where the training ends before the last rung; so many images have as many steps."""
    total = config.recipe.total_steps(images)
    if config.rungs and (steps := config.recipe.steps_of(config.rungs[-1], images)) >= total:
        last = f"{config.rungs[-1]} epochs are {steps} steps of {config.recipe.batch_size} images"
        raise InputError("rungs", f"{last}, and the recipe ends after {total}", "rungs before the end")


def _check_file(pretrained: str | None) -> None:
    """Raise InputError where weights to begin with are to come from a file that is not there."""
    if pretrained not in (None, IMAGENET) and not Path(pretrained).is_file():
        raise InputError("recipe.pretrained", f"{pretrained} is not there", "imagenet, or a file of weights")


def _check_weights(pretrained: str | None, named: tuple[NamedPoint | GivenPoint, ...], space: Space) -> None:
    """Refuse a file of weights that fits no encoder of the study, and a package of them that is not installed."""
    tried = chain((point.spec.encoder for point in named), encoders(space))
    if pretrained is None:
        return
    if pretrained == IMAGENET:
        return check_installed(tried)
    check_fits(Path(pretrained), tried)


def _named(config: StudyConfig) -> tuple[NamedPoint | GivenPoint, ...]:
    """Points to try first. Raises InputError where one is none, or stands for no network."""
    known = named_points()
    if config.points is None:
        return tuple(point for point in known.values() if point.lead)
    given = list[NamedPoint | GivenPoint]()
    for written in config.points:
        name, choices = read_point(written, "points")
        given.append(known.get(written) or GivenPoint(name=name, choices=choices, spec=lower(choices)))
    return tuple(given)


@dataclass(frozen=True, kw_only=True)
class Target:
    """What latency is measured on: its name, its threads, and the way there if it is another machine."""

    device: str
    threads: int
    worker: Worker | None = None


def target_here(config: StudyConfig) -> Target:
    """See that what a study measures on is there. Raises as `prepare`."""
    _check_writable(config)
    device = find_device(config.device)
    if config.remote is not None:
        return _there(config, config.remote)
    ready_backend(config.backend, device, config.precision)
    if "memory_mib" in {*config.budget.compared, *config.budget.limits} and not counts_memory(device.type):
        raise InputError("memory_mib", "cannot be measured on this system", "latency_ms, params, macs")
    return Target(device=device_name(device), threads=config.threads or torch.get_num_threads())


def _check_writable(config: StudyConfig) -> None:
    """Raise InputError where the study's winner could not be written: see `segsearch.deployment.lint_rules.OPSET`."""
    holds = file_backend(config.backend).weights if config.backend in FILE_BACKENDS else {}
    if config.precision is not None and holds.get(config.precision) == "bfloat16":
        left = [name for name, held in holds.items() if held not in ("bfloat16", "int8")]
        problem = f"{config.backend} needs a file in bfloat16, in which ONNX of opset {OPSET} has no convolution"
        raise InputError("precision", problem, left)


def _there(config: StudyConfig, remote: Remote) -> Target:
    """Ask the worker, so that a study that cannot measure does not begin."""
    worker = Worker(Address.parse(remote.address), need_token())
    facts = check_offer(worker, _conditions(config)).facts
    if config.shipped is not None:
        config.shipped.check()
    device = f"{facts.maker(remote.device)} at {facts.host}"
    return Target(device=device, threads=config.threads or facts.threads, worker=worker)
