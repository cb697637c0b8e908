"""What to try next: the papers' points first, then the sampler's, and no network twice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from segsearch.errors import InputError
from segsearch.search.budget import Budget
from segsearch.search.naming import network_name
from segsearch.search.record import Proposal, TrialRecord
from segsearch.search.sampler import Sampler, Tpe, seed_of, uniform
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Space
from segsearch.space.points import NamedPoint
from segsearch.spec.network import NetworkSpec, check_size

SAMPLER_ATTEMPTS = 20
"""Proposals of known networks in a row after which the sampler is left aside for uniform draws."""
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
        sampler: Sampler = "tpe",
        startup: int = 8,
    ) -> None:
        self._space, self._size_hw, self._seed, self._startup = space, size_hw, seed, startup
        self._tpe = Tpe(space, budget) if sampler == "tpe" else None
        self._named = [(point.spec.id, point) for point in named if _fits(point.spec, size_hw)]
        self._seen: set[str] = set()

    def began(self, trial: Proposal | TrialRecord) -> None:
        """Take note of a trial, in the order of numbers: its network is not proposed again."""
        self._seen.add(trial.spec_id)
        if self._tpe is not None:
            self._tpe.began(trial.number, trial.point)

    def ended(self, record: TrialRecord) -> None:
        """Learn from the result of a trial that has begun; results come in any order."""
        if self._tpe is not None:
            self._tpe.ended(record)

    def next(self, number: int) -> Proposal | None:
        """Propose the network of trial ``number``; None where the space has nothing new."""
        for spec_id, named in self._named:
            if spec_id not in self._seen:
                origin = f"named:{named.name}" if isinstance(named, NamedPoint) else "given"
                return self._proposal(number, origin, named.name, named.choices, spec_id)
        for attempt in range(SAMPLER_ATTEMPTS + UNIFORM_ATTEMPTS):
            origin, point = self._draw(number, attempt)
            spec = _lowered(point)
            if spec is not None and spec.id not in self._seen and _fits(spec, self._size_hw):
                return self._proposal(number, origin, network_name(point, spec.id), point, spec.id, attempt)
        return None

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

    def _draw(self, number: int, attempt: int) -> tuple[str, Point]:
        seed = seed_of(self._seed, number, attempt)
        if self._tpe is None or attempt >= SAMPLER_ATTEMPTS or self._tpe.learnt < self._startup:
            return "random", uniform(self._space, seed)
        return "sampler", self._tpe.ask(seed)


def too_small(named: Iterable[NamedPoint | GivenPoint], size_hw: tuple[int, int]) -> list[str]:
    """Names of the points that are not tried because images of ``size_hw`` are too small for them."""
    return [point.name for point in named if not _fits(point.spec, size_hw)]


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
