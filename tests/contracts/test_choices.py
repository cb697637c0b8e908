"""Every choice of every shipped space is read: no two of its values give the same network at every point."""

import random

import pytest

from segsearch.errors import InputError
from segsearch.resources import shipped
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Node, OneOf, Point, Scalar, Space
from segsearch.space.walk import suggest

SPACES = {path.stem: load_space(path.stem) for path in sorted(shipped("spaces").glob("*.yaml"))}
MOST_POINTS = 200
"""Tried before a choice is called unread; most show in the first."""
ALIKE: dict[str, set[Scalar]] = {"encoder.efficientnet.depth": {0.8, 1.0}}
"""Values that are known to give the same networks: 0.8 times 1, 2, 3 or 4 blocks is rounded up to as many."""


def values(node: Node) -> tuple[Scalar, ...]:
    """What a written point may hold, but no arm with free text inside."""
    return tuple(node.proposals() if isinstance(node, OneOf) else node.accepted())


CHOICES = [(name, word) for name, space in SPACES.items() for word, node in space.nodes() if len(values(node)) > 1]


def arms_before(word: str) -> dict[str, str]:
    """The arms without which a choice does not exist: of ``context.aspp.rates``, ``context: aspp``."""
    parts = word.split(".")
    return {".".join(parts[:i]): parts[i] for i in range(1, len(parts) - 1, 2)}


def drawn(space: Space, taken: dict[str, Scalar], seed: int) -> Point:
    """A random point with some choices given; the others are the same whatever these are."""

    def draw(name: str, node: Node) -> Scalar:
        return taken[name] if name in taken else random.Random(f"{seed} {name}").choice(node.proposals())

    return suggest(space, draw)


def network(point: Point) -> str:
    """Id of the point's spec; one word for all points that no network can be built of."""
    try:
        return lower(point).id
    except InputError:
        return "refused"


def unread(space: Space, word: str) -> set[Scalar]:
    """Values of a choice that give, at each of many points, the network that another one gives."""
    networks: dict[Scalar, list[str]] = {value: [] for value in values(dict(space.nodes())[word])}
    alike = set(networks)
    for seed in range(MOST_POINTS):
        for value, ids in networks.items():
            ids.append(network(drawn(space, {**arms_before(word), word: value}, seed)))
        alike = {value for value, ids in networks.items() if list(networks.values()).count(ids) > 1}
        if alike <= ALIKE.get(word, set()):
            break
    return alike


@pytest.mark.parametrize(("name", "word"), CHOICES)
def test_every_value_of_a_choice_changes_some_network(name: str, word: str) -> None:
    alike = unread(SPACES[name], word)
    assert alike <= ALIKE.get(word, set()), (
        f"spaces/{name}.yaml: {word}: {', '.join(sorted(map(str, alike)))} give the same network at every point, and a search "
        "would try it several times: does anything read the choice? docs/extend.md names the places of an option"
    )
