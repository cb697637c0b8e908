"""The tree of choices: `Choice | Integer | Word | OneOf`. A point is the flat dict of the choices on one path."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

Scalar = str | int | float | bool
Point = dict[str, Scalar]
MOST_LISTED = 1000
"""Whole numbers that are written out one by one."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of a few scalars. A search proposes those ``searched``, all if None; a written point may hold any option."""

    options: tuple[Scalar, ...]
    searched: tuple[Scalar, ...] | None = None

    @property
    def fixed(self) -> bool:
        """Whether searches propose one value of several."""
        return self.searched is not None and len(self.searched) == 1 < len(self.options)

    def proposals(self) -> tuple[Scalar, ...]:
        """Values a search may propose."""
        return self.options if self.searched is None else self.searched

    def accepted(self) -> tuple[Scalar, ...]:
        """Values a written point may hold."""
        return self.options


@dataclass(frozen=True, kw_only=True)
class Integer:
    """A whole number from ``low`` to ``high``, both included, in steps."""

    low: int
    high: int
    step: int = 1

    def proposals(self) -> Sequence[int]:
        """Values a search may propose, as a range that is never expanded into a list."""
        return range(self.low, self.high + 1, self.step)

    accepted = proposals


@dataclass(frozen=True, kw_only=True)
class Word:
    """Free text: a written point may hold any word; a search proposes only words that its study lists."""

    like: str
    """Format of the word, for messages."""

    def proposals(self) -> tuple[str, ...]:
        """Return no values."""
        return ()

    accepted = proposals


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """Exactly one arm; the choices inside it exist only when it is taken."""

    arms: Mapping[str, "Group"]

    def proposals(self) -> tuple[str, ...]:
        """Names of the arms that a search can propose: those with no `Word` inside."""
        return tuple(arm for arm, inside in self.arms.items() if all(node.proposals() for node in inside.values()))

    def accepted(self) -> tuple[str, ...]:
        """Names of all arms."""
        return tuple(self.arms)


Node = Choice | Integer | Word | OneOf
Group = Mapping[str, Node]


@dataclass(frozen=True, kw_only=True)
class Space:
    """A named tree of choices."""

    name: str
    axes: Group

    def nodes(self) -> Iterator[tuple[str, Node]]:
        """Every node with its dotted name, depth first."""
        return _walk_names(self.axes, "")

    @property
    def size(self) -> int:
        """Number of distinct points a search may propose."""
        return _count(self.axes)

    @cached_property
    def id(self) -> str:
        """Hash of the tree, 12 hex digits, by which a study detects a changed space."""
        text = json.dumps(_plain(self.axes), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _walk_names(group: Group, prefix: str) -> Iterator[tuple[str, Node]]:
    for name, node in group.items():
        dotted = f"{prefix}{name}"
        yield dotted, node
        if isinstance(node, OneOf):
            for arm, inside in node.arms.items():
                yield from _walk_names(inside, f"{dotted}.{arm}.")


def _count(group: Group) -> int:
    total = 1
    for node in group.values():
        total *= sum(map(_count, node.arms.values())) if isinstance(node, OneOf) else len(node.proposals())
    return total


def _plain(group: Group) -> dict[str, object]:
    return {
        name: {arm: _plain(inside) for arm, inside in node.arms.items()}
        if isinstance(node, OneOf)
        else [_listed(node.proposals()), node.options if isinstance(node, Choice) else None]
        for name, node in group.items()
    }


def _listed(values: Sequence[Scalar]) -> object:
    """Write values out, as ids of spaces have them; a long range by its ends and its step."""
    if isinstance(values, range) and len(values) > MOST_LISTED:
        return {"range": [values.start, values.stop, values.step]}
    return list(values)
