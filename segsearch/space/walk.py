"""Walks over the tree of choices: to propose a point, to sample one at random, and to check a written one."""

import random
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from segsearch.errors import InputError, meant
from segsearch.frozen import yes_or_no
from segsearch.space.nodes import Choice, Group, Integer, Node, OneOf, Point, Scalar, Space, Word


class Suggester(Protocol):
    """Chooses the value of a node."""

    def __call__(self, name: str, node: Node) -> Scalar:
        """Return a value of ``node``, whose dotted name is ``name``."""


def suggest(space: Space, suggester: Suggester) -> Point:
    """Build a point: ``suggester`` chooses a value at each node on the path that its earlier choices open."""
    point: Point = {}
    _walk(space.axes, "", suggester, point)
    return point


def _walk(group: Group, prefix: str, suggester: Suggester, point: Point) -> None:
    for name, node in group.items():
        dotted = f"{prefix}{name}"
        value = point[dotted] = suggester(dotted, node)
        if isinstance(node, OneOf):
            _walk(node.arms[str(value)], f"{dotted}.{value}.", suggester, point)


def sample(space: Space, rng: random.Random) -> Point:
    """Sample every choice on the path uniformly.

    A node with a single proposal uses no random number, so that adding one to a space leaves its samples as they were.

    Raises:
        InputError: a choice on the path is free text, or its arms all have such.
    """

    def draw(name: str, node: Node) -> Scalar:
        values = node.proposals()
        if not values:
            raise InputError(name, "has no value that can be drawn: a written point or a study's words give it one")
        return rng.choice(values) if len(values) > 1 else values[0]

    return suggest(space, draw)


def every_point(space: Space) -> Iterator[Point]:
    """Yield every point that a search may propose; the last choice varies fastest."""
    return _every(tuple(space.axes.items()), "")


def _every(nodes: tuple[tuple[str, Node], ...], prefix: str) -> Iterator[Point]:
    if not nodes:
        yield {}
        return
    (name, node), *others = nodes
    dotted = f"{prefix}{name}"
    for value in node.proposals():
        inside = node.arms[str(value)] if isinstance(node, OneOf) else {}
        for chosen in _every(tuple(inside.items()), f"{dotted}.{value}."):
            for rest in _every(tuple(others), prefix):
                yield {dotted: value, **chosen, **rest}


def check(space: Space, written: Point, place: object = "point") -> Point:
    """Return a written point in the space's own order and types.

    A choice that searches do not make may be left out: it then takes the value that they would propose.

    Raises:
        InputError: a choice is missing, unknown, or not among the allowed; named as ``place.choice``.

    """

    def read(name: str, node: Node) -> Scalar:
        if name not in written:
            if isinstance(node, Choice) and node.fixed:
                return node.proposals()[0]
            raise InputError(f"{place}.{name}", "is missing", allowed(node))
        return accept(node, written[name], f"{place}.{name}")

    point = suggest(space, read)
    for name in written:
        if name not in point:
            raise _extra(space, point, name, f"{place}.{name}")
    return point


def contains(space: Space, point: Point) -> bool:
    """Whether a written point lies in the space, values that searches never propose included."""
    try:
        check(space, point)
    except InputError:
        return False
    return True


def accept(node: Node, value: object, place: str) -> Scalar:
    """Return the value of the node that a written ``value`` stands for. Raises InputError if there is none."""
    if isinstance(node, Word) and isinstance(value, str):
        return value
    options: Sequence[Scalar] = node.accepted()
    if isinstance(node, Integer):  # a range may be too long to iterate over, as it is for any value but an int
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        options = [whole] if type(whole) is int and whole in options else []
    if options and isinstance(options[0], bool):
        value = yes_or_no(value)
    for option in options:
        # True == 1 in Python, but in a file ``true`` and ``1`` are different values
        if option == value and isinstance(option, bool) == isinstance(value, bool):
            return option
    if isinstance(value, str) and _unquoted(node, value):
        raise InputError(place, f"{value!r} is text, and is meant without quotes", allowed(node))
    words = options if isinstance(value, str) and not isinstance(node, Integer) else ()
    raise InputError(place, f"{value!r} is not a choice{meant(value, words)}", allowed(node))


def _unquoted(node: Node, text: str) -> bool:
    """Whether a text reads as a number or truth value that the node has."""
    if isinstance(node, Integer):
        return re.fullmatch(r"-?\d{1,18}", text) is not None and int(text) in node.accepted()
    return any(not isinstance(option, str) and str(option).lower() == text.lower() for option in node.accepted())


def allowed(node: Node) -> str:
    """Describe the allowed values for a message, such as ``2 to 6``."""
    if isinstance(node, Integer):
        return f"{node.low} to {node.high}" + (f" in steps of {node.step}" if node.step > 1 else "")
    if isinstance(node, Word):
        return node.like
    return ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in node.accepted())  # as YAML has them


def _extra(space: Space, point: Point, name: str, place: str) -> InputError:
    if name in dict(space.nodes()):
        return InputError(place, "does not exist on this path: another arm was chosen", sorted(point))
    return InputError(place, f"unknown choice{meant(name, [n for n, _ in space.nodes()])}", sorted(point))
