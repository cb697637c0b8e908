"""A dry run: what a study would try first, and about how long it would take. Nothing is written."""

from dataclasses import dataclass

from segsearch.count.cost import count
from segsearch.engine.prepare import Study, prepare
from segsearch.models.network import build
from segsearch.progress import Report, silent
from segsearch.samplers.proposals import too_small
from segsearch.space.lower import lower
from segsearch.study.config import StudyConfig
from segsearch.study.promotion import PROMOTED
from segsearch.study.record import Proposal
from segsearch.training.rehearse import rehearse


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
    """What a study is about to do."""

    config: StudyConfig
    space_size: int
    """Points that the narrowed space can propose."""
    images: dict[str, int]
    """Per part of the data: train, val, report."""
    classes: tuple[str, ...]
    first: tuple[Planned, ...]
    notes: tuple[str, ...]
    """What a person should know of the data, a sentence each."""
    left_out: tuple[str, ...]
    """Named points that are too large for images of this size."""
    steps: int
    """Optimiser steps of one training."""
    epochs: float
    """The same in passes over the training images."""
    seconds_per_training: float
    """Guess for the network of middling cost among ``first``, from a few real steps."""

    @property
    def trainings(self) -> float:
        """Whole trainings: as many as are wanted, or as the study's minutes allow."""
        wanted, minutes = float(self.config.most_trials), self.config.minutes
        if minutes is None or not self.seconds_per_training:
            return wanted
        return min(wanted, 60 * minutes / self.seconds_per_training)

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


def plan(config: StudyConfig, *, first: int = 8, report: Report = silent) -> StudyPlan:
    """Prepare a study, count its first proposals, and time a few training steps of the middling one of them.

    Raises: as `segsearch.engine.prepare.prepare`, and InputError if a training image cannot be read.
    """
    study = prepare(config)
    planned = _first(study, first, report)
    splits = study.setup.splits
    parts = {"train": splits.train, "val": splits.val, "report": splits.report}
    steps = config.recipe.total_steps(len(splits.train))
    return StudyPlan(
        config=config,
        space_size=study.space.size,
        images={name: len(part) for name, part in parts.items() if part is not None},
        classes=splits.train.classes,
        first=tuple(planned),
        notes=study.notes,
        left_out=tuple(too_small(study.named, study.setup.size_hw)),
        steps=steps,
        epochs=steps * config.recipe.batch_size / len(splits.train),
        seconds_per_training=steps * _seconds_per_step(study, planned) if planned else 0.0,
    )


def _first(study: Study, most: int, report: Report) -> list[Planned]:
    """Propose as a study does that has not learnt anything yet."""
    proposer, planned = study.proposer(), list[Planned]()
    for number in range(1, most + 1):
        proposal = proposer.next(number)
        if proposal is None:
            break
        proposer.began(proposal)
        planned.append(_count(study, proposal))
        report("count", number, most)
    return planned


def _count(study: Study, proposal: Proposal) -> Planned:
    network = build(lower(proposal.point), len(study.setup.splits.train.classes))
    cost = count(network, study.setup.size_hw)
    refusal = study.config.budget.refusal(cost.params, cost.macs, None)
    return Planned(proposal=proposal, params=cost.params, macs=cost.macs, refusal=refusal)


def _seconds_per_step(study: Study, planned: list[Planned]) -> float:
    middling = sorted(planned, key=lambda p: p.macs)[len(planned) // 2]
    recipe, train = study.config.recipe, study.setup.splits.train
    network = build(lower(middling.proposal.point), len(train.classes), recipe.auxiliary)
    return rehearse(network, recipe, train, study.config.device).seconds_per_step
