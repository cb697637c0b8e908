"""Points as vectors of one length: a column per stem, choices that are not there in one canonical place.

Values of a column lie in a Euclidean space of their own, so that the squared distance of two points is a weighted sum
of their distances per column. Names are all equally far apart (Hamming), numbers by their difference on the scale of
their distribution, plain or logarithmic, and a value is as far from none at all as a name is from another.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from segsearch.samplers.pareto_sampler.tree import Params, Tree

Array = NDArray[np.float64]
APART = math.sqrt(0.5)
"""Coordinate of a name on its own axis: two of them are 1 apart."""
WIDE = 8
"""Whole numbers from 1 on that differ by more than this factor are compared by their logarithms, as widths are."""


@dataclass(frozen=True)
class _Column:
    names: tuple[str, ...]
    """Parameters that share it; at most one is there."""
    values: dict[Any, int] | None
    """Place of each name; None for numbers."""
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    @property
    def width(self) -> int:
        return 2 if self.values is None else len(self.values)

    def embed(self, points: Sequence[Params]) -> Array:
        """Return the coordinates, (points, width); all zero where the choice is not there."""
        found = np.zeros((len(points), self.width))
        for name in self.names:
            rows = [(row, point[name]) for row, point in enumerate(points) if name in point]
            if not rows:
                continue
            at = [row for row, _ in rows]
            if self.values is not None:
                found[at, [self.values[value] for _, value in rows]] = APART
            else:
                places = np.array([value for _, value in rows], dtype=np.float64)
                places = np.log(places) if self.log else places
                found[at, 0] = (places - self.low) / (self.high - self.low or 1.0) - 0.5
                found[at, 1] = 1.0
        return found


class Encoding:
    """Knows the columns of a tree."""

    def __init__(self, tree: Tree) -> None:
        self._columns = [_column(names, tree) for names in _shared(tree)]
        self.widths = [column.width for column in self._columns]
        """Coordinates of each column, in their order."""

    def embed(self, points: Sequence[Params]) -> Array:
        """Return the coordinates of points, (points, sum of widths)."""
        return np.hstack([column.embed(points) for column in self._columns])


def _shared(tree: Tree) -> list[tuple[str, ...]]:
    """Group the parameters whose stems agree and that are of one kind."""
    groups: dict[object, list[str]] = {}
    for p in tree.parameters:
        kind = "names" if isinstance(p.distribution, CategoricalDistribution) else "numbers"
        groups.setdefault((p.stem, kind), []).append(p.name)
    return [tuple(names) for names in groups.values()]


def _column(names: tuple[str, ...], tree: Tree) -> _Column:
    distributions = [p.distribution for p in tree.parameters if p.name in names]
    if any(isinstance(d, CategoricalDistribution) for d in distributions):
        choices = [c for d in distributions if isinstance(d, CategoricalDistribution) for c in d.choices]
        return _Column(names, {choice: place for place, choice in enumerate(dict.fromkeys(choices))})
    numbers = [d for d in distributions if isinstance(d, IntDistribution | FloatDistribution)]
    low, high = float(min(d.low for d in numbers)), float(max(d.high for d in numbers))
    log = low > 0 and (
        any(d.log for d in numbers)
        or (all(isinstance(d, IntDistribution) for d in numbers) and low >= 1 and high / low > WIDE)
    )
    return _Column(names, None, math.log(low) if log else low, math.log(high) if log else high, log)
