"""What to try next: the papers' points first, then the sampler's, and no network twice."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from segsearch.deployment.markdown import percent
from segsearch.errors import InputError
from segsearch.measure.record import LatencyRecord
from segsearch.result import TrialResult, costs_of
from segsearch.samplers.sampler import Optuna, Sampler, seed_of, uniform
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Space
from segsearch.space.points import NamedPoint
from segsearch.spec.network import NetworkSpec, check_size
from segsearch.study.budget import Budget
from segsearch.study.record import Proposal, TrialRecord

if TYPE_CHECKING:
    from segsearch.samplers.shortlist import Shortlist
    from segsearch.samplers.surrogate import Surrogate


SAMPLER_ATTEMPTS = 20
"""Proposals of known networks in a row after which the sampler is left aside for uniform draws."""
RANKED = 100
"""Points that the surrogate ranks, as some stand for no network, or for one that the images are too small for."""
UNIFORM_ATTEMPTS = 1000
"""Uniform draws of known networks in a row after which the space counts as exhausted."""


@dataclass(frozen=True, kw_only=True)
class GivenPoint:
    """A point that a study's file lists and that is no paper's: of a file, or a trial of another study."""

    name: str
    choices: Point
    spec: NetworkSpec
    """The network it stands for."""


class Proposer:
    """Knows a study's trials; proposal ``n`` depends on them and on the seed, not on the order of their results."""

    def __init__(
        self,
        space: Space,
        named: Sequence[NamedPoint | GivenPoint],
        *,
        budget: Budget,
        size_hw: tuple[int, int],
        seed: int,
        sampler: Sampler = "pareto",
        startup: int = 8,
        rungs: Sequence[int] = (),
        shortlist: "Shortlist | None" = None,
    ) -> None:
        self._space, self._size_hw, self._seed, self._startup = space, size_hw, seed, startup
        self._surrogate: Surrogate | None = None
        self._optuna: Optuna | None = None
        if sampler == "pareto":
            from segsearch.samplers import surrogate  # loads optuna and scipy

            self._surrogate = surrogate.Surrogate(space, budget, seed=seed, startup=startup, rungs=rungs)
        elif sampler != "random":
            self._optuna = Optuna(space, budget, sampler, rungs)
        self._learners = [learner for learner in (self._surrogate, self._optuna) if learner is not None]
        self._budget = budget
        self._shortlist = shortlist if self._surrogate else None
        self._heard = 0
        """Measurements of shortlists that the surrogate was told of."""
        self._named = [(point.spec.id, point) for point in named if _fits(point.spec, size_hw)]
        self._seen: set[str] = set()
        self._kept_away: set[str] = set()
        """Networks that a shortlist found to be no trial's; those that a person asks for are tried all the same."""

    def began(self, trial: Proposal | TrialRecord) -> None:
        """Take note of a trial, in the order of numbers: its network is not proposed again."""
        self._seen.add(trial.spec_id)
        for learner in self._learners:
            learner.began(trial.number, trial.point)

    def ended(self, record: TrialRecord) -> None:
        """Learn from the result of a trial that has begun; results come in any order."""
        if record.trained and self._shortlist is not None:
            self._shortlist.trained(record.number, record.seconds.get("train"), record.seconds.get("measure"))
        for learner in self._learners:
            learner.ended(record)

    def scored(self, number: int, result: TrialResult) -> None:
        """Learn from a trial that is paused at a rung."""
        for learner in self._learners:
            learner.scored(number, result)

    def merits(self, numbers: Sequence[int]) -> dict[int, float]:
        """Return what going on is expected to add to the front, of trials that are paused at a rung; none unknown."""
        return self._surrogate.merits(numbers) if self._surrogate else {}

    def latency(self, proposal: Proposal) -> LatencyRecord | None:
        """Return how a proposed network was measured before it was chosen; None where it was not."""
        return self._shortlist.known(proposal.number, proposal.spec_id) if self._shortlist else None

    def taught(self, record: TrialRecord) -> None:
        """Learn from a trial of another study, by a number below those of this one; its network may be proposed yet."""
        known = record.spec_id in self._seen
        self.began(record)
        self.ended(record)
        if not known:
            self._seen.discard(record.spec_id)

    def next(self, number: int) -> Proposal | None:
        """Propose the network of trial ``number``; None where the space has nothing new."""
        for spec_id, named in self._named:
            if spec_id not in self._seen:
                origin = f"named:{named.name}" if isinstance(named, NamedPoint) else "given"
                return self._proposal(number, origin, named.name, named.choices, spec_id)
        worth = self._shortlist.worth(number) if self._shortlist else 0
        self._hear(number)
        fresh = self._fresh(number)
        first = next(fresh, None)
        if worth < 2 or first is None or first.origin != "sampler":
            return first
        return self._best(number, [first, *takewhile(lambda p: p.origin == "sampler", islice(fresh, worth - 1))])

    def _fresh(self, number: int) -> Iterator[Proposal]:
        """Yield networks that no trial has had, and no shortlist keeps away, the best first."""
        known = self._seen | self._kept_away
        for attempt, (origin, point) in enumerate(self._draws(number)):
            spec = _lowered(point)
            if spec is not None and spec.id not in known and _fits(spec, self._size_hw):
                yield self._proposal(number, origin, network_name(point, spec.id), point, spec.id, attempt)

    def _hear(self, number: int) -> None:
        """Tell the surrogate what was measured for the trials before one."""
        before = self._shortlist.before(number) if self._shortlist else []
        for line in before[self._heard :]:
            assert self._surrogate is not None
            self._surrogate.measured(line.point, line.costs)
            if line.keeps_away(self._budget):
                self._kept_away.add(line.spec_id)
        self._heard = len(before)

    def _best(self, number: int, proposals: Sequence[Proposal]) -> Proposal:
        """Measure networks and choose; where none meets the budget, the fastest, which the gate is to judge."""
        assert self._shortlist is not None and self._surrogate is not None
        taken = [(proposal, self._shortlist.latency(proposal)) for proposal in proposals]
        measured = [(proposal, _costs(latency)) for proposal, latency in taken if latency is not None]
        error = percent(self._surrogate.error, missing="", digits=0)
        told = error and f"; their latency was predicted within {error}"
        self._shortlist.note(f"trial {number} was chosen of {len(measured)} networks that were measured{told}")
        within = [
            (p, costs) for p, costs in measured if all(over <= 0 for over in self._budget.excess(**costs).values())
        ]
        if not within:
            return min(measured, key=lambda pair: pair[1]["latency_ms"] or 0.0, default=(proposals[0], {}))[0]
        points, costs = [p.point for p, _ in within], [costs for _, costs in within]
        return within[self._surrogate.best(number, points, costs)][0]

    def _proposal(self, number: int, origin: str, name: str, point: Point, spec_id: str, attempt: int = 0) -> Proposal:
        return Proposal(
            number=number,
            origin=origin,
            name=name,
            point=point,
            spec_id=spec_id,
            attempt=attempt,
            seed=seed_of(self._seed, spec_id),
        )

    def _draws(self, number: int) -> Iterator[tuple[str, Point]]:
        """Yield points with where they come from, the best first."""
        uniform_from = 0
        if self._optuna is not None and self._optuna.learnt >= self._startup:
            uniform_from = SAMPLER_ATTEMPTS
            for attempt in range(SAMPLER_ATTEMPTS):
                yield "sampler", self._optuna.ask(seed_of(self._seed, number, attempt))
        if self._surrogate is not None:
            for point in self._surrogate.ask(number, RANKED):
                yield "sampler", point
        for attempt in range(uniform_from, SAMPLER_ATTEMPTS + UNIFORM_ATTEMPTS):
            yield "random", uniform(self._space, seed_of(self._seed, number, attempt))


def too_small(named: Iterable[NamedPoint | GivenPoint], size_hw: tuple[int, int]) -> list[str]:
    """Names of the points that are not tried because images of ``size_hw`` are too small for them."""
    return [point.name for point in named if not _fits(point.spec, size_hw)]


def _costs(latency: LatencyRecord) -> dict[str, float | None]:
    """Return what a network costs that was measured for a shortlist."""
    return costs_of(latency.params, latency.macs, latency)


def _lowered(point: Point) -> NetworkSpec | None:
    """Give the network of a point; None where its choices do not go together, as a level that an encoder lacks."""
    try:
        return lower(point)
    except InputError:
        return None


def _fits(spec: NetworkSpec, size_hw: tuple[int, int]) -> bool:
    try:
        check_size(spec, size_hw)
    except InputError:
        return False
    return True


def network_name(point: Point, spec_id: str) -> str:
    """Name a sampled network by its encoder and fusion: ``resnet18x0.75/fam#1a2b3c4d``, ``fpe-p3q9/meu#1a2b3c4d``."""
    if "encoder" not in point or "fusion" not in point:
        return f"network#{spec_id[:8]}"
    return f"{_encoder(point)}/{point['fusion']}#{spec_id[:8]}"


def _encoder(point: Point) -> str:
    family = str(point["encoder"])
    if family == "timm":
        return str(point["encoder.timm.model"]).partition("@")[0]
    inside = {name.removeprefix(f"encoder.{family}."): value for name, value in point.items()}
    variant, depth = str(inside.get("variant", "")), inside.get("depth", 1.0)
    if variant:
        # df1 and lite0 say their family themselves; xception's a does not
        family = variant if family.endswith(variant.rstrip("0123456789")) else f"{family}-{variant}"
    if isinstance(depth, int):
        family += str(depth)
    elif depth != 1.0:
        family += f"-d{depth}"
    if "p" in inside and "q" in inside:
        family += f"-p{inside['p']}q{inside['q']}"
    width = float(point.get("encoder_width", 1.0))
    return family if width == 1.0 else f"{family}x{width:g}"
