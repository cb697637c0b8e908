"""Points to choose from: drawn at random, in blocks that serve several trials, and edits of the best known ones."""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from segsearch.samplers.pareto_sampler.tree import Params, Tree

Costs = tuple[float, ...]
CostsOf = Callable[[Sequence[Params]], Sequence[Costs | None]]
"""Costs of points, none at all where nothing is known beforehand; None of one that must not be proposed."""
Key = frozenset[tuple[str, object]]

MOST_KEPT = 50_000
"""Candidates whose costs are remembered."""
BLOCK = 500
"""Points drawn anew for each trial."""
BLOCKS = 4
"""Blocks that a trial chooses from: its own and those of the trials before it."""
TRIES = 10
"""Draws per wanted point after which a tight budget is given up on."""


class Candidate(NamedTuple):
    """A point that may be proposed."""

    key: Key
    params: Params
    costs: Costs


def key_of(point: Params) -> Key:
    """Return what is equal for equal points, whatever their order."""
    return frozenset(point.items())


class Prices:
    """Asks for the costs of a point once, while it is remembered."""

    def __init__(self, costs_of: CostsOf) -> None:
        self._costs_of = costs_of
        self._kept: dict[Key, Candidate | None] = {}

    def candidate(self, point: Params) -> Candidate | None:
        """Return a point with its costs; None where it must not be proposed."""
        return self.candidates([point])[0]

    def candidates(self, points: Iterable[Params]) -> list[Candidate | None]:
        """Return points as `candidate` does, in their order."""
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        keyed = [(key_of(point), point) for point in points]
        new = {key: point for key, point in keyed if key not in self._kept}
        for (key, point), costs in zip(new.items(), self._costs_of(list(new.values())), strict=True):
            self._kept[key] = None if costs is None else Candidate(key, point, costs)
        return [self._kept[key] for key, _ in keyed]


class Candidates:
    """The points of one tree that may be proposed, with their costs."""

    def __init__(self, tree: Tree, prices: Prices, seed: int, block: int = BLOCK) -> None:
        self.tree, self._prices, self._seed, self._block = tree, prices, seed, block
        self._drawn: dict[int, list[Candidate]] = {}

    def pool(self, number: int) -> list[Candidate]:
        """Return random candidates for a trial, a pure function of the tree, the seed and the number."""
        first = max(0, number - BLOCKS + 1)
        blocks = range(first, first + BLOCKS)
        self._drawn = {n: self._drawn.get(n) or self._draw(n) for n in blocks}
        return list({candidate.key: candidate for n in blocks for candidate in self._drawn[n]}.values())

    def _draw(self, number: int) -> list[Candidate]:
        rng, found = random.Random(f"{self._seed}:{number}"), list[Candidate]()
        for _ in range(TRIES):
            drawn = [self.tree.complete({}, rng) for _ in range(self._block)]
            found += [candidate for candidate in self._prices.candidates(drawn) if candidate is not None]
            if len(found) >= self._block:
                break
        return found[: self._block]

    def around(self, points: Iterable[Params], rng: random.Random, *, pairs: bool = False) -> Iterator[Params]:
        """Yield what differs from a point in one value; with ``pairs`` also, for each, one that differs in another."""
        for point in points:
            for neighbour in self.tree.neighbours(point, rng):
                yield neighbour
                if pairs and (further := list(self.tree.neighbours(neighbour, rng))):
                    yield rng.choice(further)

    def allowed(self, points: Iterable[Params], seen: Set[Key]) -> list[Candidate]:
        """Return those of points that may be proposed and are not seen, each once."""
        priced = self._prices.candidates(points)
        return list({c.key: c for c in priced if c is not None and c.key not in seen}.values())


def free_strata(count: int, values: Sequence[float], known: Sequence[float]) -> list[tuple[float, float]]:
    """Cut values into quantiles and return the (low, high) of those that hold some, and no known one, ascending."""
    ordered = sorted(values)
    cuts = [ordered[i * len(ordered) // count] for i in range(1, count)]
    edges = [float("-inf"), *dict.fromkeys(cuts), float("inf")]
    pairs = itertools.pairwise(edges)

    def holds(some: Sequence[float], low: float, high: float) -> bool:
        return any(low <= value < high for value in some)

    return [(low, high) for low, high in pairs if holds(values, low, high) and not holds(known, low, high)]
