"""A dry run: what a study, new or begun, would try next, and about how long the rest takes. Nothing is written."""

import math
from dataclasses import dataclass
from pathlib import Path

from segsearch.count.cost import count
from segsearch.engine.agenda import Agenda, Step
from segsearch.engine.pace import Pace
from segsearch.engine.prepare import Study, prepare
from segsearch.models.network import build
from segsearch.progress import Report, silent
from segsearch.samplers.proposals import too_small
from segsearch.space.lower import lower
from segsearch.study.config import StudyConfig
from segsearch.study.identity import check_same
from segsearch.study.outcome import conclude
from segsearch.study.promotion import PROMOTED
from segsearch.study.record import Proposal
from segsearch.study.store import StudyFolder
from segsearch.study.trials import Trials
from segsearch.training.rehearse import Rehearsal, rehearse


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One proposal and what its network costs."""

    proposal: Proposal
    params: int
    macs: int
    refusal: str | None
    """Why it would not be trained, as far as counting tells."""


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """What a study is about to do, from where it stands."""

    config: StudyConfig
    space_size: int
    """Points that the narrowed space can propose."""
    images: dict[str, int]
    """Per part of the data: train, val, report."""
    classes: tuple[str, ...]
    first: tuple[Planned, ...]
    notes: tuple[str, ...]
    """What a person should know of the data and of earlier runs, a sentence each."""
    left_out: tuple[str, ...]
    """Named points that are too large for images of this size."""
    steps: int
    """Optimiser steps of one training."""
    epochs: float
    """The same in passes over the training images."""
    seconds_per_training: float
    """Guess for the network of middling cost among ``first``, from a few real steps."""
    wanted: float
    """Whole trainings that are wanted yet."""
    seconds_left: float
    """Of the study's minutes; infinite where it has none."""
    begun: bool = False
    """Whether there are trials of earlier runs."""
    ended: str | None = None
    """Why nothing is left to do, if that is so."""

    @property
    def trainings(self) -> float:
        """Whole trainings that are left: as many as are wanted, or as the study's minutes allow."""
        if self.ended is not None:
            return 0.0
        if math.isinf(self.seconds_left) or not self.seconds_per_training:
            return self.wanted
        return min(self.wanted, self.seconds_left / self.seconds_per_training)

    @property
    def networks(self) -> float:
        """Guess of the networks that are trained at all: with rungs, most of them not to the end."""
        ends = [*(rung / self.epochs for rung in self.config.rungs), 1.0]
        parts = [end - begin for begin, end in zip([0.0, *ends], ends, strict=False)]
        return self.trainings / sum(part * PROMOTED**rung for rung, part in enumerate(parts))

    @property
    def seconds(self) -> float:
        """Guess for all of them; measuring and scoring come on top."""
        return self.seconds_per_training * self.trainings


def plan(
    config: StudyConfig, folder: Path | None = None, *, first: int = 8, here: bool = True, report: Report = silent
) -> StudyPlan:
    """Prepare a study, count its next proposals, and time a few training steps of the middling one of them.

    Args:
        config: what to search.
        folder: where the study lies, or will; default: it is a new one.
        first: proposals to count, those included that earlier runs did not finish.
        here: whether latency is measured where this runs; else the device of a begun study is not compared.
        report: told of each proposal.

    Raises: as `segsearch.engine.prepare.prepare`, and InputError if a training image cannot be read, or the folder
        holds another study.
    """
    study = prepare(config, folder=folder)
    store = None if folder is None or not (found := StudyFolder(folder)).begun else found
    trials, notes = _stand(study, store, here)
    images, seconds_left, ended = len(study.setup.splits.train), math.inf, None
    agenda = Agenda(config, images)
    if store is not None:
        pace = Pace(config, store)
        pace.learn(trials)
        seconds_left = max(0.0, pace.left)
        step = agenda.next(trials, pace.steps(1, 0))
        ended = (
            None if isinstance(step, Step) or step == "propose" else conclude(config, store.path, step, trials.all).line
        )
    planned = [] if ended is not None else _next(study, trials, first, report)
    rehearsed = _rehearsed(study, planned) if planned else None
    splits = study.setup.splits
    parts = {"train": splits.train, "val": splits.val, "report": splits.report}
    steps = config.recipe.total_steps(images)
    return StudyPlan(
        config=config,
        space_size=study.space.size,
        images={name: len(part) for name, part in parts.items() if part is not None},
        classes=splits.train.classes,
        first=tuple(planned),
        notes=(*(f"data: {note}" for note in study.notes), *notes, *(rehearsed.notes if rehearsed else ())),
        left_out=tuple(too_small(study.named, study.setup.size_hw)),
        steps=steps,
        epochs=steps * config.recipe.batch_size / images,
        seconds_per_training=steps * rehearsed.seconds_per_step if rehearsed else 0.0,
        wanted=agenda.trainings_left(trials),
        seconds_left=60 * config.minutes if store is None and config.minutes is not None else seconds_left,
        begun=store is not None,
        ended=ended,
    )


def _stand(study: Study, store: StudyFolder | None, here: bool) -> tuple[Trials, list[str]]:
    """Read where a study stands, as it does when it goes on; return what it would tell of that, too."""
    if store is None:
        return Trials([], [], study.config.budget), []
    before = store.read_study()
    elsewhere = {} if here else {"device": before.device, "threads": before.threads}
    check_same(before, study.file.model_copy(update=elsewhere), store.path)
    return store.stand(study.config.budget, clear=False)


def _next(study: Study, trials: Trials, most: int, report: Report) -> list[Planned]:
    """Count what is to be measured yet, then propose as a study does that learns nothing meanwhile."""
    proposer, number = study.proposer(trials=trials), trials.next_number
    proposals = trials.ready("proposed")[:most]
    planned = [_count(study, trial.proposal) for trial in proposals]
    while len(planned) < most and (proposal := proposer.next(number)) is not None:
        proposer.began(proposal)
        planned.append(_count(study, proposal))
        number += 1
        report("count", len(planned), most)
    return planned


def _count(study: Study, proposal: Proposal) -> Planned:
    network = build(lower(proposal.point), len(study.setup.splits.train.classes))
    cost = count(network, study.setup.size_hw)
    refusal = study.config.budget.refusal(cost.params, cost.macs, None)
    return Planned(proposal=proposal, params=cost.params, macs=cost.macs, refusal=refusal)


def _rehearsed(study: Study, planned: list[Planned]) -> Rehearsal:
    middling = sorted(planned, key=lambda p: p.macs)[len(planned) // 2]
    recipe, train = study.config.recipe, study.setup.splits.train
    network = build(lower(middling.proposal.point), len(train.classes), recipe.auxiliary)
    return rehearse(network, recipe, train, study.config.device)
