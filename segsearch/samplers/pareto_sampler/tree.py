"""The parameters of a study as a tree: which exist, which values they have, and under which values of others.

A define-by-run study never says what its space is. It is read off the trials: a parameter that some trials lack is
conditional on an earlier one whose values tell exactly when it is there.
"""

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Params = dict[str, Any]
Given = tuple[Mapping[str, Any], Mapping[str, BaseDistribution]]
"""Values and distributions of one trial, in the order it asked for them."""
ABSENT = object()
"""Stands for the value of a parameter that is not there; None may be a value."""
MOST_LISTED = 64
"""Values of a parameter that are tried one by one as its neighbours; of more, the nearest."""
MOST_BRANCHES = 1000
"""Whole numbers of one parameter that others may be conditional on."""


@dataclass(frozen=True)
class Condition:
    """A parameter is there where that one, the parent, has one of these values."""

    parent: str
    values: frozenset[Any]


@dataclass(frozen=True)
class Parameter:
    """One parameter of the union of all branches."""

    name: str
    distribution: BaseDistribution
    condition: Condition | None = None
    stem: str = ""
    """Its name without the value of the parent; what plays one part in several branches has one stem."""


@dataclass(frozen=True)
class Tree:
    """All parameters, each after its parent."""

    parameters: tuple[Parameter, ...]
    explored: Mapping[str, frozenset[Any]]
    """Values, per parameter, whose branches are known."""

    @cached_property
    def parents(self) -> frozenset[str]:
        """Names of the parameters that others are conditional on."""
        return frozenset(p.condition.parent for p in self.parameters if p.condition)

    def complete(self, params: Mapping[str, Any], rng: random.Random) -> Params:
        """Return a whole point: given values where they are active, values drawn for the rest, in known branches."""
        point: Params = {}
        for name, condition, options, distribution in self._steps:
            if condition is None or point.get(condition.parent, ABSENT) in condition.values:
                if name in params:
                    point[name] = params[name]
                else:
                    point[name] = pick(options, rng) if options else draw(distribution, rng)
        return point

    @cached_property
    def _steps(self) -> list[tuple[str, Condition | None, Sequence[Any] | None, BaseDistribution]]:
        """Name, condition, listed values and distribution of each parameter: quicker to go through."""
        steps = list[tuple[str, Condition | None, Sequence[Any] | None, BaseDistribution]]()
        for p in self.parameters:
            options = p.distribution.choices if isinstance(p.distribution, CategoricalDistribution) else None
            steps.append((p.name, p.condition, self._known.get(p.name) or options, p.distribution))
        return steps

    @cached_property
    def _known(self) -> dict[str, list[Any]]:
        """Values that lead into known branches, per parent, in the order of the distribution."""
        distributions = {p.name: p.distribution for p in self.parameters}
        return {
            name: [v for v in listed(distributions[name])[:MOST_BRANCHES] if v in self.explored[name]]
            for name in self.parents
        }

    def neighbours(self, point: Params, rng: random.Random) -> Iterator[Params]:
        """Yield all points that differ in one value; a branch entered anew keeps what its stems share with the old."""
        for place, parameter in enumerate(self.parameters):
            if parameter.name not in point:
                continue
            parent, known = parameter.name in self.parents, self._known.get(parameter.name)
            for value in near(parameter.distribution, point[parameter.name], rng):
                changed = {**point, parameter.name: value}
                if not parent:
                    yield changed
                elif known and value in known:
                    self._inherit(changed, self._by_stem(point), self.parameters[place + 1 :])
                    yield self.complete(changed, rng)

    def _by_stem(self, point: Params) -> dict[str, Any]:
        return {p.stem: point[p.name] for p in self.parameters if p.name in point}

    def _inherit(self, changed: Params, by_stem: Mapping[str, Any], later: Sequence[Parameter]) -> None:
        for parameter in later:
            value = by_stem.get(parameter.stem)
            if parameter.name not in changed and value is not None and holds(parameter.distribution, value):
                changed[parameter.name] = value


def pick(values: Sequence[Any], rng: random.Random) -> Any:
    """Return one of values; quicker than `random.choice`, of which thousands would be called for each proposal."""
    return values[int(rng.random() * len(values))]


def draw(distribution: BaseDistribution, rng: random.Random) -> Any:
    """Draw one value, uniformly, or uniformly on the logarithm where the distribution says so."""
    if isinstance(distribution, CategoricalDistribution):
        return pick(distribution.choices, rng)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return at(distribution, rng.random())


def at(distribution: IntDistribution | FloatDistribution, share: float) -> Any:
    """Return the value at a place between lowest (0) and highest (1) on the distribution's own scale."""
    low, high = distribution.low, distribution.high
    share = min(1.0, max(0.0, share))
    if isinstance(distribution, IntDistribution):
        if distribution.log:
            return min(high, max(low, round((low - 0.5) * ((high + 0.5) / (low - 0.5)) ** share)))
        steps = (high - low) // distribution.step
        return low + distribution.step * min(int(steps), int(share * (steps + 1)))
    if distribution.step is not None:
        steps = round((high - low) / distribution.step)
        return low + distribution.step * min(steps, int(share * (steps + 1)))
    return low * (high / low) ** share if distribution.log else low + share * (high - low)


def listed(distribution: BaseDistribution) -> Sequence[Any]:
    """Return all values of a categorical or whole-number parameter."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, IntDistribution)
    return range(distribution.low, distribution.high + 1, distribution.step)


def holds(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value is one of the distribution's."""
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False


def near(distribution: BaseDistribution, value: Any, rng: random.Random) -> list[Any]:
    """Return the other values to try in the place of one: all of a short list, else steps in its neighbourhood."""
    if not isinstance(distribution, FloatDistribution):
        values = listed(distribution)
        if len(values) <= MOST_LISTED:
            return [other for other in values if other != value]
        if isinstance(distribution, CategoricalDistribution):
            return rng.sample([other for other in values if other != value], MOST_LISTED)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    place, step = unit(distribution, value), getattr(distribution, "step", None)
    found = [at(distribution, place + rng.gauss(0, width)) for width in (0.3, 0.1, 0.1, 0.03, 0.03, 0.01)]
    if step is not None and not distribution.log:
        found += [value - step, value + step]
    return [other for other in dict.fromkeys(found) if other != value and holds(distribution, other)]


def unit(distribution: BaseDistribution, value: float) -> float:
    """Return the place of a number between lowest (0) and highest (1) on the distribution's own scale."""
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.0


def learn(trials: Sequence[Given], asked: Given | None = None) -> Tree:
    """Read the tree off trials.

    Args:
        trials: those that have asked for all of their parameters.
        asked: what the trial under way has asked for by now.
    """
    seen = dict[str, BaseDistribution]()
    for _, distributions in (*trials, *([asked] if asked else [])):
        seen |= {name: distribution for name, distribution in distributions.items() if name not in seen}
    conditions = {name: _condition(name, seen, trials) for name in seen}
    parameters = [
        Parameter(name, seen[name], conditions[name], _stem(name, conditions, trials)) for name in _sorted(conditions)
    ]
    parents = {condition.parent for condition in conditions.values() if condition}
    explored = {parent: frozenset(params[parent] for params, _ in trials if parent in params) for parent in parents}
    for parent in parents:
        if isinstance(seen[parent], IntDistribution):
            explored[parent] = frozenset(listed(seen[parent])[:MOST_BRANCHES])
    return Tree(tuple(parameters), explored)


def _sorted(conditions: Mapping[str, Condition | None]) -> list[str]:
    """Order the names so that parents come first, else as they were seen."""
    placed = dict[str, None]()

    def place(name: str) -> None:
        condition = conditions[name]
        if condition is not None and condition.parent not in placed:
            place(condition.parent)
        placed.setdefault(name)

    for name in conditions:
        place(name)
    return list(placed)


def _condition(name: str, seen: Mapping[str, BaseDistribution], trials: Sequence[Given]) -> Condition | None:
    """Find the earlier parameter whose value tells whether ``name`` is there; None where every trial has it."""
    there = [params for params, _ in trials if name in params]
    lacking = [params for params, _ in trials if name not in params]
    if not lacking or not there:
        return None
    best: tuple[tuple[bool, bool, int, int], Condition] | None = None
    for place, (other, distribution) in enumerate(seen.items()):
        if other == name or isinstance(distribution, FloatDistribution) or any(other not in p for p in there):
            continue
        if any(list(p).index(other) > list(p).index(name) for p in there):
            continue
        values = frozenset(params[other] for params in there)
        without = {params[other] for params in lacking if other in params}
        if not without or values & without:
            continue
        named = len(values) == 1 and str(next(iter(values))) in _words(name)
        rank = (named, name.startswith(other), -len(values), -place)
        if best is None or rank > best[0]:
            best = rank, Condition(other, _widened(distribution, values, without))
    return best[1] if best else None


def _widened(distribution: BaseDistribution, values: frozenset[Any], without: set[Any]) -> frozenset[Any]:
    """Take a whole number that no trial had to be as the nearest one that some had: ``layers: 4`` as ``layers: 3``."""
    if not isinstance(distribution, IntDistribution):
        return values
    known = sorted(values | without)
    numbers = listed(distribution)[:MOST_BRANCHES]
    return values | {n for n in numbers if min(known, key=lambda other: abs(other - n)) in values}


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^0-9A-Za-z_+-]+", name) if word]


def _stem(name: str, conditions: Mapping[str, Condition | None], trials: Sequence[Given]) -> str:
    """Take the values of its parents out of a name: ``encoder.resnet.depth`` becomes ``encoder depth``."""
    words, condition = _words(name), conditions[name]
    while condition is not None:
        if len(condition.values) == 1 and (value := str(next(iter(condition.values)))) in words[1:]:
            words.reverse()
            words.remove(value)
            words.reverse()
        condition = conditions[condition.parent]
    return " ".join(words)
