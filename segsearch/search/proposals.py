"""What to try next: the papers' points first, then the sampler's, and no network twice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segsearch.errors import InputError
from segsearch.search.budget import Budget
from segsearch.search.naming import network_name
from segsearch.search.record import Proposal, TrialRecord
from segsearch.search.sampler import Sampler, ask, seed_of, tell, uniform
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Space
from segsearch.space.points import NamedPoint
from segsearch.spec.network import NetworkSpec, check_size

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

SAMPLER_ATTEMPTS = 20
"""Proposals already seen before the sampler is left aside for a dice."""
UNIFORM_ATTEMPTS = 1000
"""Rolls of the dice, all seen already, after which the space counts as exhausted."""


@dataclass(frozen=True, kw_only=True)
class GivenPoint:
    """A point that a study's file lists and that is no paper's: of a file, or a trial of another study."""

    name: str
    choices: Point
    spec: NetworkSpec
    """The network it stands for."""


class Proposer:
    """Knows what a study has seen; proposal ``n`` depends on the seed and on that alone."""

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
        self._space, self._budget, self._size_hw = space, budget, size_hw
        self._seed, self._sampler, self._startup = seed, sampler, startup
        self._named = [(point.spec.id, point) for point in named if _fits(point.spec, size_hw)]
        self._seen: set[str] = set()
        self._told: list[FrozenTrial] = []

    def saw(self, record: TrialRecord) -> None:
        """Learn from a finished trial; records come in the order of their numbers."""
        self.took(record.spec_id)
        if (told := tell(self._space, self._budget, record)) is not None:
            self._told.append(told)

    def took(self, spec_id: str) -> None:
        """Remember a network that is proposed already, finished or not."""
        self._seen.add(spec_id)

    def next(self, number: int) -> Proposal | None:
        """Propose the network of trial ``number``; None where the space has nothing new."""
        for spec_id, named in self._named:
            if spec_id not in self._seen:
                origin = f"named:{named.name}" if isinstance(named, NamedPoint) else "given"
                return Proposal(number=number, origin=origin, name=named.name, point=named.choices, spec_id=spec_id)
        for attempt in range(SAMPLER_ATTEMPTS + UNIFORM_ATTEMPTS):
            origin, point = self._draw(number, attempt)
            spec = _lowered(point)
            if spec is not None and spec.id not in self._seen and _fits(spec, self._size_hw):
                name = network_name(point, spec.id)
                return Proposal(number=number, origin=origin, name=name, point=point, spec_id=spec.id, attempt=attempt)
        return None

    def _draw(self, number: int, attempt: int) -> tuple[str, Point]:
        seed = seed_of(self._seed, number, attempt)
        if self._sampler == "random" or attempt >= SAMPLER_ATTEMPTS or len(self._told) < self._startup:
            return "random", uniform(self._space, seed)
        return "sampler", ask(self._space, self._told, seed)


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
