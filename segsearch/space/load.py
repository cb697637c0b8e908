"""Spaces as YAML, in groups: ``{choice: [...]}``, ``{integer: [low, high]}``, ``{word: FORM}``, ``{one_of: {...}}``."""

from pathlib import Path
from typing import Any

from segsearch.errors import InputError, meant
from segsearch.resources import locate
from segsearch.space.nodes import Choice, Group, Integer, Node, OneOf, Scalar, Space, Word
from segsearch.space.walk import accept
from segsearch.yaml12 import load_yaml

MOST_NUMBER, MOST_POINTS = 10**9, 10**100
_KINDS = ("choice", "integer", "word", "one_of")


def load_space(name: str) -> Space:
    """Read a shipped space by its name, or any by its path.

    Raises:
        InputError: no such file, or the file is not a space; the place is the dotted name inside it.

    """
    path = locate(name, "spaces")
    return parse_space(load_yaml(path), path)


def parse_space(data: dict[str, Any], place: object) -> Space:
    """Build a space from plain data. Raises as `load_space`."""
    for key in data:
        if key not in ("space", "axes"):
            raise InputError(f"{place}.{key}", f"unknown key{meant(key, ('space', 'axes'))}", ("space", "axes"))
    if not isinstance(data.get("space"), str) or not isinstance(data.get("axes"), dict) or not data["axes"]:
        raise InputError(place, "a space needs its name and its choices", "space: NAME and axes: {...}")
    space = Space(name=data["space"], axes=_group(data["axes"], f"{Path(str(place)).name}:axes"))
    if space.size > MOST_POINTS:
        raise InputError(place, "has more points than can be written down", "up to 1e100")
    return space


def _group(data: object, place: str) -> Group:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InputError(place, "must be a mapping of names to choices")
    return {_name(key, place): _node(value, f"{place}.{key}") for key, value in data.items()}


def _name(key: object, place: str) -> str:
    if not isinstance(key, str) or not key or "." in key:
        raise InputError(f"{place}.{key}", "a name must be a word without dots")
    return key


def _node(data: object, place: str) -> Node:
    if not isinstance(data, dict) or sum(kind in data for kind in _KINDS) != 1:
        raise InputError(place, "must be one node", [f"{kind}: ..." for kind in _KINDS])
    kind = next(k for k in _KINDS if k in data)
    known = (kind, *{"choice": ("fixed", "searched"), "integer": ("step",)}.get(kind, ()))
    for key in data:
        if key not in known:
            raise InputError(f"{place}.{key}", f"unknown key{meant(key, known)}", known)
    if kind == "choice":
        return _choice(data, place)
    if kind == "word":
        return _word(data["word"], place)
    return _integer(data, place) if kind == "integer" else _one_of(data["one_of"], place)


def _choice(data: dict[str, Any], place: str) -> Choice:
    options = data["choice"]
    if (
        not isinstance(options, list)
        or not options
        or not all(isinstance(o, str) or (isinstance(o, int | float) and abs(o) <= MOST_NUMBER) for o in options)
    ):
        raise InputError(place, f"choice must be a list of words, truth values, or numbers up to {MOST_NUMBER:,}")
    if len({(type(o) is bool, o) for o in options}) != len(options):
        raise InputError(place, "choice names a value twice")
    return Choice(options=tuple(options), searched=_searched(data, options, place))


def _searched(data: dict[str, Any], options: list[Scalar], place: str) -> tuple[Scalar, ...] | None:
    if "fixed" in data:
        if data["fixed"] not in options:
            raise InputError(f"{place}.fixed", f"{data['fixed']!r} is not an option", options)
        return (data["fixed"],)
    if "searched" not in data:
        return None
    searched = data["searched"]
    if not isinstance(searched, list) or not searched or any(value not in options for value in searched):
        raise InputError(f"{place}.searched", f"{searched!r} must be some of the options", options)
    return tuple(searched)


def _integer(data: dict[str, Any], place: str) -> Integer:
    bounds, step = data["integer"], data.get("step", 1)
    if not _whole(bounds) or len(bounds) != 2 or not _whole([step]) or step < 1:
        raise InputError(place, "integer must be [low, high] with a step of at least 1")
    if max(map(abs, (*bounds, step))) > MOST_NUMBER:
        raise InputError(place, "integer is too large", f"whole numbers from -{MOST_NUMBER:,} to {MOST_NUMBER:,}")
    if bounds[0] > bounds[1] or (bounds[1] - bounds[0]) % step:
        raise InputError(place, f"low <= high must hold in whole steps of {step}, got {bounds[0]} and {bounds[1]}")
    return Integer(low=bounds[0], high=bounds[1], step=step)


def _whole(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(v, int) and not isinstance(v, bool) for v in values)


def _word(form: object, place: str) -> Word:
    if not isinstance(form, str) or not form:
        raise InputError(place, "word must say how the word is written, such as NAME@LEVEL")
    return Word(like=form)


def _one_of(arms: object, place: str) -> OneOf:
    if not isinstance(arms, dict) or not arms:
        raise InputError(place, "one_of must be a mapping of arms to their choices")
    return OneOf(arms={_name(arm, place): _group(inside, f"{place}.{arm}") for arm, inside in arms.items()})


def narrow(space: Space, wanted: dict[str, list[Scalar]], place: object = "narrow") -> Space:
    """Return the space with some nodes cut down to fewer values, as a study asks.

    Raises:
        InputError: an unknown node, an empty list, or a value that the node does not have.

    """
    nodes = dict(space.nodes())
    for name, values in wanted.items():
        if name not in nodes:
            raise InputError(f"{place}.{name}", f"unknown choice{meant(name, nodes)}", sorted(nodes))
        if not values:
            raise InputError(f"{place}.{name}", "leaves no value", nodes[name].accepted())
    kept = {
        name: [accept(nodes[name], value, f"{place}.{name}") for value in values] for name, values in wanted.items()
    }
    narrowed = Space(name=space.name, axes=_narrowed(space.axes, "", kept))
    _can_be_searched(narrowed, kept, place)
    return narrowed


def _can_be_searched(space: Space, wanted: dict[str, list[Scalar]], place: object) -> None:
    """Refuse an arm that ``narrow`` names if it contains a word for which no value is given."""
    asked = tuple(f"{name}.{arm}." for name, arms in wanted.items() for arm in arms)
    for inside, word in space.nodes():
        if isinstance(word, Word) and inside.startswith(asked):
            raise InputError(f"{place}.{inside}", "is missing: a search cannot propose this word", word.like)


def _narrowed(group: Group, prefix: str, wanted: dict[str, list[Scalar]]) -> Group:
    return {name: _narrow_node(node, f"{prefix}{name}", wanted) for name, node in group.items()}


def _narrow_node(node: Node, name: str, wanted: dict[str, list[Scalar]]) -> Node:
    values = wanted.get(name)
    if isinstance(node, OneOf):
        arms = [a for a in node.arms if values is None or a in values]
        return OneOf(arms={arm: _narrowed(node.arms[arm], f"{name}.{arm}.", wanted) for arm in arms})
    if values is None:
        return node
    if isinstance(node, Choice):
        return Choice(options=tuple(v for v in node.options if v in values))
    return Choice(options=tuple(sorted(set(values)) if isinstance(node, Integer) else values))
